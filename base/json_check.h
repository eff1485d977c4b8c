// The grammar of JSON: one pass over a text, which reports the first byte that breaks it. No state,
// any thread, no memory beyond the text.
#pragma once

#include <string_view>

#include "base/status.h"

namespace trireme {

// Strict RFC 8259: UTF-8 without a byte order mark, at most 64 levels below the outermost value,
// numbers that fit a double. The error has the id `id` and names `subject` ("the tokenizer"), the
// byte and the reason.
Status check_json(std::string_view text, const char* id, std::string_view subject);

}  // namespace trireme

// The grammar of JSON: one pass over a text that says where it stops being JSON.
#pragma once

#include <string_view>

#include "base/status.h"

namespace trireme {

// Strict RFC 8259, UTF-8 without a byte order mark, at most 64 levels, numbers that fit a double.
// An error has the id `id` and says that `subject` ("the tokenizer") is not JSON, and at which
// byte.
Status check_json(std::string_view text, const char* id, std::string_view subject);

}  // namespace trireme

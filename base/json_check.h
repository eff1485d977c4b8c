// The grammar of JSON: one pass over a text, which reports the first byte that breaks it. No state,
// any thread, no memory beyond the text.
#pragma once

#include <string_view>

#include "base/status.h"

namespace trireme {

// kStandard: RFC 8259, and numbers that fit a double. kAnySize: numbers beyond a double, too, for a
// reader that checks ranges itself. kPython: also the words NaN, Infinity and -Infinity and escapes
// of half a surrogate pair: Python's json module writes and reads them, so they stand in published
// configuration files.
enum class JsonNumbers { kStandard, kAnySize, kPython };

constexpr std::string_view kFetchAgain = "fetch the file again";

// UTF-8 without a byte order mark, at most 64 levels below the outermost value. The error has the
// id `id` and names `subject` ("the tokenizer"), the byte, the reason and the `remedy`.
Status check_json(std::string_view text,
                  const char* id,
                  std::string_view subject,
                  JsonNumbers numbers = JsonNumbers::kStandard,
                  std::string_view remedy = kFetchAgain);

}  // namespace trireme

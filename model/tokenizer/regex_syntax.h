// Translates a pattern of a tokenizer.json (Oniguruma, Ruby syntax) to PCRE2 with UTF and UCP. Pure
// function. Classes with a different meaning in the two engines (\s, \w, \h, scripts) are expanded.
// Constructs that PCRE2 lacks (intersection and nesting of classes) are refused, never
// approximated.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

// Error: TRI-TOK-010.
StatusOr<std::string> to_pcre2_syntax(std::string_view pattern);

}  // namespace trireme

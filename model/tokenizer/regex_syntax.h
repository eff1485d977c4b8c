// Translates a pattern of a tokenizer.json (Oniguruma's Ruby syntax) to PCRE2 with UTF and UCP.
// Pure. Classes that the two read differently (\s, \w, \h, scripts) are written out; what cannot be
// said in PCRE2 (class intersection and nesting) is refused rather than read otherwise.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

// Error: TRI-TOK-010.
StatusOr<std::string> to_pcre2_syntax(std::string_view pattern);

}  // namespace trireme

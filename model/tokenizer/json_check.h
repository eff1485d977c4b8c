// The grammar of JSON: one pass over a text that says where it stops being JSON.
#pragma once

#include <string_view>

#include "base/status.h"

namespace trireme {

// Error: TRI-TOK-002 with the offset. Depth at most 64; numbers must fit a double.
Status check_json(std::string_view text);

}  // namespace trireme

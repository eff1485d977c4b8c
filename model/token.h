// The id of a token: its index in the vocabulary. -1: none.
#pragma once

#include <cstdint>

namespace trireme {

using TokenId = int32_t;

}  // namespace trireme

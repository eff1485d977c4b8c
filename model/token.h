// The id of a token in a vocabulary.
#pragma once

#include <cstdint>

namespace trireme {

using TokenId = int32_t;

}  // namespace trireme

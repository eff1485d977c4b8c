#pragma once

#include <cstdint>

namespace trireme {

using TokenId = int32_t;

}  // namespace trireme

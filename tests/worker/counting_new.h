// Linked in, it counts every operator new of the program.
#pragma once

#include <cstdint>

namespace trireme {

int64_t counted_allocations();

}  // namespace trireme

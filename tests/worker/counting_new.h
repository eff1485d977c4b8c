// Replaces operator new of the program that links it by one that counts.
#pragma once

#include <cstdint>

namespace trireme {

int64_t counted_allocations();  // since the start
int64_t counted_live_bytes();   // allocated and not freed

}  // namespace trireme

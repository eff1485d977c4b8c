// Peak of the heap memory of a test program, so that a test can bound the memory of a reader.
// Linking allocation_peak.cc replaces operator new by a counting one. Any thread.
#pragma once

#include <cstddef>

namespace trireme {

// The maximum of allocated bytes since construction, less those allocated at construction.
class AllocationPeak {
 public:
  AllocationPeak();
  size_t bytes() const;

 private:
  size_t before_;
};

}  // namespace trireme

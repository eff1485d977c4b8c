// Linked in, it counts what operator new of the program holds, so that a test can bound what a
// reader takes.
#pragma once

#include <cstddef>

namespace trireme {

// The most bytes that were alive in operator new since `restart`, beyond those alive then.
class AllocationPeak {
 public:
  AllocationPeak();
  size_t bytes() const;

 private:
  size_t before_;
};

}  // namespace trireme

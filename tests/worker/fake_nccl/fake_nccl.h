// The faults of the NCCL of the tests.
#pragma once

#include <atomic>

namespace trireme {

struct FakeNccl {
  std::atomic<bool> init_hangs{false};  // as if a rank had died
  std::atomic<bool> sums_hang{false};   // in the call, not on the device
  std::atomic<bool> refuses_captures{false};
  std::atomic<int> non_blocking_comms{0};  // number made
};
FakeNccl& fake_nccl();

}  // namespace trireme

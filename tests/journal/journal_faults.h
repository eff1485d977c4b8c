// One case of the journal's faults: a random run, a fault, a replay, and the checks of what it
// gives.
#pragma once

#include <cstdint>
#include <string>

namespace trireme::journal {

struct FaultCase {
  std::string kind;  // "kill", "power", "torn", "flip", "full", "fail"
  bool is_noticed = false;
  std::string problem;  // "": none
};

constexpr uint64_t kNumFaults = 6;

// The same seed gives the same case. Its fault is that of number seed % kNumFaults.
FaultCase run_fault_case(uint64_t seed);

}  // namespace trireme::journal

// One seeded run: a random cluster, random requests, random faults (Run::fault() in
// simulation_runs.cc); then checks of the invariants that hold after every run.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

struct RunReport {
  std::string failure;  // empty: everything held
  uint64_t trace_hash = 0;
  int64_t faults = 0;
  int64_t preemptions = 0;
  int64_t cached_tokens = 0;
  int64_t requests = 0;
};

RunReport run_seed(uint64_t seed);

}  // namespace trireme

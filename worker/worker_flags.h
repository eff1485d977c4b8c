// The command line of trireme-worker. Names are those of docs and of `trireme up`.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "worker/worker.h"

namespace trireme {

struct WorkerFlags {
  WorkerOptions worker;
  std::string model;
  uint64_t weights_seed = 0;

  // Where plans come from: exactly one of the three.
  std::string coordinator;  // endpoint of the worker door
  int group = 0;
  std::string plans;  // a file
  std::string results;
  bool probes = false;
  std::string bench_step;

  std::string trace;  // each rank writes FILE.rank<N>
  bool help = false;
  std::string help_text;
};

// TRI-ARGS-...: what is no flag or has no such value. TRI-GRP-023: not one source of plans.
// TRI-GRP-024: a value that is known but not built.
StatusOr<WorkerFlags> parse_worker_flags(const std::vector<std::string>& arguments);

}  // namespace trireme

// A group whose ranks are threads of this process, for tests of devices: each rank has its own
// emulated (or shared real) device.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/cluster/outcome.h"
#include "tests/cluster/scripted_plans.h"
#include "worker/worker.h"

namespace trireme {

struct LocalRun {
  std::string model;
  Partition partition;
  WorkerOptions options;
  bool shares_device = false;  // all ranks on device 0
  bool captures = false;       // plans name graph keys
  // Called by every rank before its first step and after its last.
  using Inspect = std::function<void(int rank, const Worker& worker)>;
  Inspect inspect;
};

// Names the graph key of a plan, as the coordinator does.
void name_key(StepPlan& plan);

// Loads the model on every rank and runs the requests as one script; slot i is request i. Anything
// that fails, fails the test.
Outcome run_local_group(const LocalRun& run, const std::vector<ScriptedRequest>& requests);

}  // namespace trireme

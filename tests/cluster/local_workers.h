// A group whose ranks are threads of this process, for tests of devices: each rank has its own
// emulated (or shared real) device.
#pragma once

#include <string>
#include <vector>

#include "tests/cluster/outcome.h"
#include "tests/cluster/scripted_plans.h"
#include "worker/worker.h"

namespace trireme {

struct LocalRun {
  std::string model;
  Cut cut;
  WorkerOptions options;
  bool shares_device = false;  // all ranks on device 0
  bool records = false;        // plans name graph keys
};

// Names the graph key of a plan, as the coordinator does.
void name_key(StepPlan& plan);

// Loads the model on every rank and runs the requests as one script; slot i is request i. Anything
// that fails, fails the test.
Outcome run_local_group(const LocalRun& run, const std::vector<ScriptedRequest>& requests);

}  // namespace trireme

// `bench step`: forward speed without a scheduler. Every rank makes the same plans from a spec;
// time runs between two barriers of the group, and rank 0 prints a JSON line a measurement.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "worker/worker.h"

namespace trireme {

struct StepBenchSpec {
  int32_t prefill = 512;  // tokens of one prompt
  int32_t decode = 128;   // tokens drawn for each sequence of a batch
  int32_t context = 0;    // tokens of each sequence before those; their prefill is not timed
  std::vector<int32_t> batch = {1};
  int32_t repeats = 5;
};

// "prefill=512,decode=128,context=2048,batch=1:4:16,repeats=5"; what is not named keeps its
// default. TRI-GRP-011: not such a text, or a count out of range.
StatusOr<StepBenchSpec> parse_step_bench(const std::string& text);

// Runs the measurements on a worker that has not started. TRI-GRP-012: they do not fit its pages.
Status run_step_bench(const StepBenchSpec& spec, Worker& worker, GroupComms& comms);

}  // namespace trireme

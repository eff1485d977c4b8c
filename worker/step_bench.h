// `bench step`: speed of the forward pass without a scheduler. Every rank makes the same plans from
// a spec; time is measured between two barriers of the group; rank 0 prints one JSON line per
// measurement. `window_us` is the last round in microseconds of CLOCK_MONOTONIC, for tracers.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "worker/worker.h"

namespace trireme {

struct StepBenchSpec {
  int32_t prefill = 512;  // tokens of one prompt
  int32_t decode = 128;   // tokens drawn for each sequence of a batch
  int32_t context = 0;    // prompt tokens of each sequence; their prefill is not timed
  std::vector<int32_t> batch = {1};
  int32_t repeats = 5;
};

// Parses "prefill=512,decode=128,context=2048,batch=1:4:16,repeats=5"; fields that are not named
// keep their defaults. TRI-GRP-011: an unknown field, or a count out of range.
StatusOr<StepBenchSpec> parse_step_bench(const std::string& text);

// Runs the measurements on a worker that has not started. TRI-GRP-012: they exceed its maximum
// length, its slots or its pages.
Status run_step_bench(const StepBenchSpec& spec, Worker& worker, GroupComms& comms);

}  // namespace trireme

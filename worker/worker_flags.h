// The command line of trireme-worker. Names are those of docs and of `trireme up`.
#pragma once

#include <string>
#include <vector>

#include "base/log_flags.h"
#include "base/status.h"
#include "worker/comm/nccl_comm.h"
#include "worker/worker.h"

namespace trireme {

struct WorkerFlags {
  WorkerOptions worker;  // backend and max_batched_tokens: as asked, until choose_backend()
  std::string model;
  uint64_t weights_seed = 0;

  // Where plans come from: exactly one of the three.
  std::string coordinator;  // endpoint of the worker door
  int group = 0;
  std::string plans;  // a file
  std::string results;
  bool probes = false;
  std::string bench_step;

  int local_ranks = 1;   // ranks that are threads of this process
  int device = -1;       // -1: by the rank's number on its host
  int first_device = 0;  // of the host of rank 0: groups before this one have those below it
  NcclSettings nccl;
  bool list_devices = false;

  std::string cache_dir;  // "none": nothing is kept
  std::string trace;      // each rank writes FILE.rank<N>
  LogFlags log;
  bool help = false;
  std::string help_text;
};

// TRI-ARGS-...: what is no flag or has no such value. TRI-GRP-023: not one source of plans.
// TRI-GRP-024: a value that is known but not built.
StatusOr<WorkerFlags> parse_worker_flags(const std::vector<std::string>& arguments);

// Settles `auto`, the dtype and the tokens of a step. `num_devices`: GPUs that this process sees,
// or why it sees none. Returns a line that says what was chosen. TRI-CUDA-002: cuda was asked for
// and `num_devices` is an error, or none is there; TRI-GRP-024: the backend has no such dtype.
StatusOr<std::string> choose_backend(WorkerFlags& flags, const StatusOr<int>& num_devices);

// What the driver reads when CUDA is first called: before that, and before other threads. What the
// user has set stays.
void set_cuda_environment(const WorkerFlags& flags);

struct HostPlace {
  int local_rank = 0;         // among those of the host
  bool is_first_host = true;  // that of rank 0
};
// Groups that share the first host take its devices in turn (--first-device).
int device_of_rank(const WorkerFlags& flags, const HostPlace& place, int num_devices);

}  // namespace trireme

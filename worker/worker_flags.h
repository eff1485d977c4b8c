// The command line of trireme-worker, whose flags have the names of `trireme up`. Parsed once in
// main(); const afterwards.
#pragma once

#include <string>
#include <vector>

#include "base/log_flags.h"
#include "base/status.h"
#include "worker/comm/nccl_comm.h"
#include "worker/worker.h"

namespace trireme {

struct WorkerFlags {
  WorkerOptions worker;  // choose_backend() resolves backend and max_batched_tokens
  std::string model;
  uint64_t weights_seed = 0;

  // Source of plans: exactly one of coordinator, plans and bench_step is given.
  std::string coordinator;  // endpoint of the worker door
  int group = 0;
  std::string plans;  // a file
  std::string results;
  bool probes = false;
  std::string bench_step;

  int local_ranks = 0;   // ranks that are threads of this process; 0: one rank of an mpirun
  int device = -1;       // -1: by the rank's index on its host
  int first_device = 0;  // on the host of rank 0; lower ones belong to groups before this one
  NcclSettings nccl;
  bool list_devices = false;

  std::string cache_dir;  // of matmul tuning results; "none": none are kept
  std::string trace;      // each rank writes FILE.rank<N>
  LogFlags log;
  bool help = false;
  std::string help_text;
};

// TRI-ARGS-...: an unknown flag or value. TRI-GRP-023: not exactly one source of plans.
// TRI-GRP-024: a value that this build lacks. TRI-GRP-025: no model. TRI-GRP-026: a number out of
// range.
StatusOr<WorkerFlags> parse_worker_flags(const std::vector<std::string>& arguments);

// Resolves `auto`, the dtype and max_batched_tokens. `num_devices`: GPUs that this process sees, or
// the reason why it sees none. Returns the choice as one line for people. TRI-CUDA-002: cuda is
// requested and there is no usable GPU. TRI-GRP-024: the backend lacks the dtype.
StatusOr<std::string> choose_backend(WorkerFlags& flags, const StatusOr<int>& num_devices);

// Sets environment variables that the driver reads at the first CUDA call; call it before that and
// before other threads start. Variables that the user has set stay.
void set_cuda_environment(const WorkerFlags& flags);

struct HostPlace {
  int local_rank = 0;         // index among the ranks of this host
  bool is_first_host = true;  // the host of rank 0
};
// The device index. Groups that share the first host use its devices from --first-device on.
int device_of_rank(const WorkerFlags& flags, const HostPlace& place, int num_devices);

}  // namespace trireme

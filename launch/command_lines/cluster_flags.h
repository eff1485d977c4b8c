// Flags that describe a cluster, the same for every verb that starts one. Plain values: written by
// the flag parser, checked once, then read only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/flags.h"
#include "base/journal_flags.h"
#include "base/log_flags.h"
#include "model/planner.h"

namespace trireme {

struct ClusterFlags {
  std::string model;
  int tp = 1;
  int pp = 1;
  int groups = 1;
  std::string backend = "auto";
  std::string dtype = "bfloat16";
  std::string quantization = "none";
  std::string kv_cache_dtype = "auto";
  std::string hostfile;
  std::string launch_agent = "ssh";  // program with which mpirun reaches other hosts
  std::string interface;             // network between hosts; "": MPI chooses
  std::string nccl_interface;        // network between GPUs of several hosts; "": NCCL chooses
  std::string nccl_adapters;
  bool nccl_infiniband = true;
  int threads = 0;
  std::string isa = "auto";
  bool invariant = false;     // cuda: batch-invariant results, as the CPU's always are
  int64_t max_model_len = 0;  // 0: the model's maximum, lowered to what KV memory holds
  int max_slots = kDefaultMaxSlots;
  int64_t max_batched_tokens = 0;  // 0: the backend's default
  int64_t kv_memory_bytes = 0;     // per rank; 0: chosen at load
  bool prefix_caching = true;
  std::string served_model_name;
  std::string chat_template;  // file; "": the model's own
  std::string host = "127.0.0.1";
  int port = 8900;
  std::string worker_host = "127.0.0.1";
  int worker_port = 0;
  bool insecure = false;
  std::string state;  // "": the default of StateFolder
  JournalFlags journal;
  uint64_t weights_seed = 0;
  std::string trace;
  bool verbose = false;
  LogFlags log;

  int num_ranks() const { return tp * pp; }
  DType compute_dtype() const;
};

// Dtypes that a backend ("cpu", "cuda") is built for, the default first.
std::vector<std::string> built_dtypes(const std::string& backend);
bool has_dtype(const std::string& backend, const std::string& dtype);

// `is_private`: the verb starts the cluster for itself; its client door takes any free port.
void add_cluster_flags(FlagSet& set, ClusterFlags& flags, bool is_private);

// TRI-UP-001: a value that is not built (names those that are); TRI-UP-002: out of range;
// TRI-UP-003: no --model; TRI-ARGS-025: unknown log level.
Status check_cluster_flags(const ClusterFlags& flags);

}  // namespace trireme

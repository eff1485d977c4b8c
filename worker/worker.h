// One rank: owns its backend, weights, KV pages and step executor, and decides the order in which
// they take memory. The same under a coordinator, with plans from a file, and in a test. Used by
// the step loop's thread. Invariant: after make() a device backend allocates nothing more.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/checkpoint/model_source.h"
#include "model/parallel_plan.h"
#include "model/planner.h"
#include "model/shard_spec.h"
#include "model/step_buckets.h"
#include "proto/step_messages.h"
#include "worker/comm/device_comms.h"
#include "worker/comm/group_comms.h"
#include "worker/forward/kv_cache.h"
#include "worker/forward/shard_model.h"
#include "worker/forward/weight_loader.h"
#include "worker/step/step_executor.h"

namespace trireme {

struct WorkerOptions {
  int32_t group = 0;  // its index; with `host` for messages
  std::string host;
  int tp = 1;
  int pp = 1;
  DType dtype = DType::kBFloat16;
  std::string backend = "cpu";  // or "cuda"
  int device = 0;               // of CUDA
  bool invariant = false;       // CUDA: batch-invariant (the CPU always is)
  int threads = 0;              // 0: this rank's share of the cores
  std::string isa = "auto";
  int32_t max_slots = kDefaultMaxSlots;
  int32_t max_batched_tokens = default_max_batched_tokens("cpu");
  int64_t max_model_len = 0;  // 0: the model's, or what fits
  int64_t kv_memory_bytes = 0;
  int64_t vocabulary_limit = 0;  // the tokenizer's size; 0: the model's vocabulary
  std::string cache_folder;      // of matmul tuning results; empty: none are kept
  int ranks_on_host = 1;
  TimeUs step_timeout_us = kStepTimeoutUs;
  Trace* trace = nullptr;  // spans of each step, if wanted
};

// Use of a rank's device memory in bytes, in order of allocation. `modules` is this rank's share of
// what the device lost beyond the requests of the ranks on it.
struct MemoryUse {
  int64_t weights = 0;
  int64_t communicators = 0;
  int64_t step = 0;     // a step's buffers and workspaces
  int64_t modules = 0;  // context, modules, graphs, libraries, and memory of other processes
  int64_t pages = 0;
  int64_t reserve = 0;  // kept free
  int sharers = 1;      // number of ranks of the group on this device
};

// Seconds of the parts of a rank's start.
struct StartTimes {
  double device = 0;  // the context, and modules: our kernels, loaded eagerly
  double load = 0;    // weights and communicators
  double warm_up = 0;
  double pages = 0;
  int64_t module_bytes = 0;  // that the device has lost once the backend is made

  // "start 6.1 s: device 2.3, weights and communicators 1.4, warm-up 2, KV pages 0.4; ..."
  std::string line() const;
};

class Worker {
 public:
  // Checks that need only the configuration, before anything is loaded. TRI-PLAN-...: the model
  // cannot be partitioned so. TRI-GRP-007: max_model_len exceeds the model's positions.
  static Status check(const WorkerOptions& options, const ModelSource& source);
  // Takes all of this rank's memory: shard and communicators, then (where the backend captures
  // steps) step buffers and graphs, and last the KV pages, which get the rest. `source` and `comms`
  // outlive the worker. Collective over the group.
  static StatusOr<std::unique_ptr<Worker>> make(const WorkerOptions& options,
                                                ModelSource& source,
                                                GroupComms& comms,
                                                Progress& progress,
                                                const LoadProgress& load_progress);

  // Begins a life of the group with the first `num_pages` pages, at most num_pages(). After the
  // first one it allocates nothing.
  Status start(int64_t num_pages, ResultSink& sink);

  StepExecutor& executor() { return *executor_; }
  Backend& backend() { return *backend_; }
  const ParallelPlan& partition() const { return partition_; }
  const ShardSpec& shard() const { return *shard_; }
  const WorkerOptions& options() const { return options_; }
  KvLayout kv_layout() const { return cache_->pages().layout; }
  int64_t num_pages() const { return num_pages_; }  // minimum over the group's ranks
  int32_t max_model_len() const { return max_model_len_; }
  int num_threads() const { return num_threads_; }
  const MemoryUse& memory_use() const { return memory_; }
  const StartTimes& start_times() const { return start_; }
  // Sizes of the steps that the backend captures; empty: it captures none.
  std::vector<int32_t> token_buckets() const { return buckets_up_to(max_batched_tokens()); }
  std::vector<int32_t> row_buckets() const { return buckets_up_to(options_.max_slots); }
  BackendInfo backend_info() const { return backend_->info(); }
  // The announcement to the coordinator; before KV pages are allocated, the part known so far.
  RankHello hello() const;
  int64_t vocabulary_size() const { return source_.config.vocabulary_size; }

 private:
  Worker(const WorkerOptions& options,
         const ModelSource& source,
         GroupComms& comms,
         Progress& progress,
         const ParallelPlan& partition);
  Status start_up(ModelSource& source, const LoadProgress& load_progress);
  Status make_backend();
  Status agree();
  Status make_cpu_backend_of_group();
  Status make_comms();
  Status load(ModelSource& source, const LoadProgress& load_progress);
  Status make_executor(int64_t max_model_len);
  std::string tune();
  Status share_tuning();
  Status warm_up();
  Status reserve_cache();
  Status fill_cache();
  Status count_memory();
  Status barrier();  // over the group
  bool shares_device() const { return devices_.ranks_here.size() > 1; }
  int64_t taken_since(int64_t before) const { return backend_->device_memory().taken - before; }
  StepLimits step_limits(int64_t max_model_len) const;
  bool is_cuda() const { return options_.backend == "cuda"; }
  int64_t requested_model_len() const {  // requested maximum length; fewer tokens may fit
    return options_.max_model_len > 0 ? options_.max_model_len : source_.config.max_positions;
  }
  std::vector<int32_t> buckets_up_to(int32_t max_size) const {
    return backend_->captures_steps() ? step_buckets(max_size) : std::vector<int32_t>();
  }
  int32_t max_batched_tokens() const {  // rows of a step
    return std::max(options_.max_batched_tokens, options_.max_slots);
  }

  const WorkerOptions options_;
  const ModelSource& source_;
  GroupComms& comms_;
  Progress& progress_;
  const ParallelPlan partition_;
  std::unique_ptr<ShardSpec> shard_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ShardModel> model_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<StepExecutor> executor_;
  StartTimes start_;           // of CUDA
  MemoryUse memory_;           // of CUDA
  DeviceShare devices_;        // of CUDA: the ranks that share them
  bool gathers_rows_ = false;  // of CUDA: on every rank, or its rows are whole
  int num_threads_ = 1;
  int64_t num_pages_ = 0;
  int32_t max_model_len_ = 0;
  bool is_started_ = false;
};

}  // namespace trireme

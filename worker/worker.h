// One rank, put together: backend, weights, KV pages, and the executor of steps. The same for a
// rank under a coordinator, one that reads plans from a file, and one in a test.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/model_source.h"
#include "model/parallel_plan.h"
#include "model/planner.h"
#include "model/shard_spec.h"
#include "model/step_buckets.h"
#include "proto/step_messages.h"
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
  bool invariant = false;       // CUDA: the same bits whatever shares the batch
  int threads = 0;              // 0: this rank's share of the cores
  std::string isa = "auto";
  int32_t max_slots = kDefaultMaxSlots;
  int32_t max_batched_tokens = default_max_batched_tokens("cpu");
  int64_t max_model_len = 0;  // 0: the model's, or what fits
  int64_t kv_memory_bytes = 0;
  int64_t vocabulary_limit = 0;  // the tokenizer's size; 0: the model's vocabulary
  std::string cache_folder;      // for what is measured once of a device; empty: nothing is kept
  int ranks_on_host = 1;
  TimeUs step_timeout_us = 30'000'000;
  Trace* trace = nullptr;  // spans of each step, if wanted
};

// What a rank's device memory went to, in bytes, in the order in which it was taken: what this rank
// asked for, and its part of what the device lost besides to all ranks that share it.
struct MemoryUse {
  int64_t weights = 0;
  int64_t communicators = 0;
  int64_t step = 0;     // a step's buffers and workspaces
  int64_t modules = 0;  // context, modules, graphs, libraries; what other processes hold is in it
  int64_t pages = 0;
  int64_t reserve = 0;  // left to the device
  int sharers = 1;      // ranks of the group on this device, not bytes
};

class Worker {
 public:
  // What can be refused before anything is loaded. TRI-PLAN-...; TRI-GRP-007: a length over the
  // model's.
  static Status check(const WorkerOptions& options, const ModelSource& source);
  // Takes all of this rank's memory: shard, communicators, and where the backend records steps
  // their buffers and recordings, so that KV gets what is left. `source` and `comms` outlive the
  // worker. Collective over the group.
  static StatusOr<std::unique_ptr<Worker>> make(const WorkerOptions& options,
                                                ModelSource& source,
                                                GroupComms& comms,
                                                Progress& progress,
                                                const LoadProgress& load_progress);

  // Begins an epoch over as many pages as the group agreed on. Once where the backend records
  // steps: a rank lives for one epoch there.
  Status start(int64_t num_pages, ResultSink& sink);

  StepExecutor& executor() { return *executor_; }
  Backend& backend() { return *backend_; }
  const ParallelPlan& cut() const { return cut_; }
  const ShardSpec& shard() const { return *shard_; }
  const WorkerOptions& options() const { return options_; }
  KvLayout kv_layout() const { return cache_->pages().layout; }
  int64_t num_pages() const { return num_pages_; }  // the fewest of any rank
  int32_t max_model_len() const { return max_model_len_; }
  int num_threads() const { return num_threads_; }
  const MemoryUse& memory_use() const { return memory_; }
  // Sizes of the steps that the backend records; empty: it records none.
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
         const ParallelPlan& cut);
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
  Status meet();  // waits until all ranks of the group are here
  int64_t taken_since(int64_t before) const { return backend_->device_memory().taken - before; }
  StepLimits step_limits(int64_t max_model_len) const;
  bool is_cuda() const { return options_.backend == "cuda"; }
  int64_t longest_wanted() const {  // sequences; fewer tokens may fit
    return options_.max_model_len > 0 ? options_.max_model_len : source_.config.max_positions;
  }
  std::vector<int32_t> buckets_up_to(int32_t most) const {
    return backend_->records_steps() ? step_buckets(most) : std::vector<int32_t>();
  }
  int32_t max_batched_tokens() const {  // rows of a step
    return std::max(options_.max_batched_tokens, options_.max_slots);
  }

  const WorkerOptions options_;
  const ModelSource& source_;
  GroupComms& comms_;
  Progress& progress_;
  const ParallelPlan cut_;
  std::unique_ptr<ShardSpec> shard_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ShardModel> model_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<StepExecutor> executor_;
  MemoryUse memory_;                      // of CUDA
  std::vector<int32_t> ranks_on_device_;  // of CUDA: the group's on this device
  int num_threads_ = 1;
  int64_t num_pages_ = 0;
  int32_t max_model_len_ = 0;
  bool is_started_ = false;
};

}  // namespace trireme

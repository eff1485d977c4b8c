#include "worker/worker.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <thread>
#include <utility>

#include "base/check.h"
#include "kernels/cpu_backend.h"
#include "kernels/cuda_backend.h"
#include "worker/comm/device_comms.h"
#include "worker/step_memory.h"

namespace trireme {
namespace {

// Tiers from the poorest to the richest; a group uses the poorest of its ranks'.
constexpr std::array<const char*, 4> kTiers = {"portable", "avx2", "avx512", "avx512_bf16"};

class NoQueue final : public Queue {};

// The smallest of the ranks' values.
StatusOr<int64_t> agree_on_smallest(Comm& comm, Progress& progress, int64_t value) {
  NoQueue queue;
  progress.enter(Phase::kWaitStage);  // the others may load longer
  std::vector<int64_t> all(comm.size());
  comm.all_gather(
      queue, std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
  progress.enter(Phase::kLoading);
  RETURN_IF_ERROR(comm.status());
  return *std::ranges::min_element(all);
}

int64_t tier_index(const std::string& isa) {
  const auto found = std::ranges::find(kTiers, isa);
  return found == kTiers.end() ? -1 : found - kTiers.begin();
}

constexpr int64_t kMostCudaHeadDim = 256;
constexpr TimeUs kAgreementUs = 120'000'000;  // ranks load at different speeds

}  // namespace

int usable_cores() {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (quota_file >> quota >> period && period > 0) {
    return std::clamp(static_cast<int>(quota / period), 1, cores);
  }
  return cores;
}

Worker::Worker(const WorkerOptions& options,
               const ModelSource& source,
               GroupComms& comms,
               Progress& progress,
               const ParallelPlan& cut)
    : options_(options),
      source_(source),
      comms_(comms),
      progress_(progress),
      cut_(cut),
      shard_(std::make_unique<ShardSpec>(source.config, cut_, comms.rank)) {}

Status Worker::check(const WorkerOptions& options, const ModelSource& source) {
  RETURN_IF_ERROR(
      ParallelPlan::make(source.config, options.tp, options.pp, options.backend).status());
  if (options.max_model_len <= source.config.max_positions) return ok_status();
  return invalid("TRI-GRP-007",
                 "--max-model-len is ",
                 options.max_model_len,
                 ", the model has positions for ",
                 source.config.max_positions,
                 "; lower it or leave it out");
}

StatusOr<std::unique_ptr<Worker>> Worker::make(const WorkerOptions& options,
                                               ModelSource& source,
                                               GroupComms& comms,
                                               Progress& progress,
                                               const LoadProgress& load_progress) {
  RETURN_IF_ERROR(check(options, source));
  ASSIGN_OR_RETURN(const ParallelPlan cut,
                   ParallelPlan::make(source.config, options.tp, options.pp, options.backend));
  std::unique_ptr<Worker> worker(new Worker(options, source, comms, progress, cut));
  comms.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  RETURN_IF_ERROR(worker->make_backend());
  const int64_t free_bytes = worker->backend_->available_bytes();
  ASSIGN_OR_RETURN(
      ModelWeights weights,
      load_weights(
          source.config, *source.checkpoint, *worker->shard_, *worker->backend_, load_progress));
  const int64_t loaded_bytes = worker->backend_->available_bytes();
  RETURN_IF_ERROR(worker->make_comms());
  worker->memory_.weights = free_bytes - loaded_bytes;
  worker->memory_.communicators = loaded_bytes - worker->backend_->available_bytes();
  ASSIGN_OR_RETURN(ShardModel model,
                   ShardModel::make(source.config,
                                    *worker->shard_,
                                    *worker->backend_,
                                    std::move(weights),
                                    worker->longest_wanted()));
  worker->model_ = std::make_unique<ShardModel>(std::move(model));
  RETURN_IF_ERROR(worker->make_cache());
  return worker;
}

Status Worker::start(int64_t num_pages, ResultSink& sink) {
  CHECK(num_pages > 0 && num_pages <= cache_->pages().num_pages);
  CHECK_THAT(executor_ == nullptr || !backend_->records_steps(), "a device's rank starts once");
  const StepLimits limits = step_limits(max_model_len_);
  ASSIGN_OR_RETURN(
      executor_,
      StepExecutor::make(
          *backend_, *model_, cut_, *cache_, num_pages, limits, comms_, progress_, sink));
  return backend_->records_steps() ? warm_up() : ok_status();
}

Status Worker::meet() {
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  return agree_on_smallest(*comms_.group, progress_, 0).status();
}

// Before the first step: the ways of the matmuls, as rank 0 finds them, and the recorded steps.
Status Worker::warm_up() {
  // Once a rank of a device may wait for a peer nobody allocates there: all have their memory now.
  RETURN_IF_ERROR(meet());
  progress_.enter(Phase::kWarming);
  std::string ways;
  if (comms_.rank == 0) {
    executor_->tune();
    ways = backend_->save_tuning();
  }
  NoQueue queue;
  int64_t size = static_cast<int64_t>(ways.size());
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  progress_.enter(Phase::kWaitStage);
  comms_.group->broadcast(queue, std::as_writable_bytes(std::span(&size, 1)), 0);
  ways.resize(size);
  if (size > 0) comms_.group->broadcast(queue, std::as_writable_bytes(std::span(ways)), 0);
  RETURN_IF_ERROR(comms_.group->status());
  progress_.enter(Phase::kWarming);
  if (size > 0 && !backend_->load_tuning(ways)) {
    return invalid("TRI-CUDA-009",
                   "rank ",
                   comms_.rank,
                   " cannot use the matmul choices of rank 0: its device or its cuBLASLt is"
                   " another; give a group devices and libraries of one kind");
  }
  std::vector<int32_t> sizes = token_buckets();
  const std::vector<int32_t> rows = row_buckets();
  std::erase_if(sizes, [&](int32_t size) { return !std::ranges::binary_search(rows, size); });
  RETURN_IF_ERROR(meet());  // cuBLASLt has its memory, too
  return executor_->warm_up(sizes);
}

StepLimits Worker::step_limits(int64_t max_model_len) const {
  StepLimits limits;
  limits.max_slots = options_.max_num_seqs;
  limits.max_tokens = max_tokens();
  limits.max_model_len = static_cast<int32_t>(max_model_len);
  limits.drawable = source_.config.vocabulary_size;
  if (options_.drawable > 0) limits.drawable = std::min(options_.drawable, limits.drawable);
  limits.step_timeout_us = options_.step_timeout_us;
  limits.trace = options_.trace;
  return limits;
}

Status Worker::make_backend() {
  if (!is_cuda()) return make_cpu_backend_of_group();
  if (source_.config.head_dim > kMostCudaHeadDim) {
    return invalid("TRI-CUDA-003",
                   "heads of ",
                   source_.config.head_dim,
                   " dimensions have no attention kernel for CUDA, at most ",
                   kMostCudaHeadDim,
                   " have; use --backend cpu");
  }
  CudaBackendOptions options;
  options.device = options_.device;
  options.dtype = options_.dtype;
  options.invariant = options_.invariant;
  options.max_tokens = max_tokens();
  ASSIGN_OR_RETURN(backend_, make_cuda_backend(options));
  return ok_status();
}

// After the weights, before all that is sized by what is left.
Status Worker::make_comms() {
  if (!is_cuda()) return ok_status();
  const ActivationTypes types = backend_->types();
  DeviceCommOptions options;
  options.residual_bytes = max_tokens() * aligned(source_.config.hidden_size, types.row_alignment) *
                           size_of(types.residual);
  options.token_bytes = int64_t{options_.max_num_seqs} * 4;
  options.in_rank_order = options_.invariant;
  progress_.enter(Phase::kWaitStage);  // the others may load longer
  RETURN_IF_ERROR(use_device_comms(comms_, *backend_, options));
  progress_.enter(Phase::kLoading);
  return ok_status();
}

Status Worker::make_cpu_backend_of_group() {
  CpuBackendOptions options;
  options.dtype = options_.dtype;
  options.num_threads = options_.threads > 0
                            ? options_.threads
                            : std::max(1, usable_cores() / std::max(1, options_.ranks_on_host));
  num_threads_ = options.num_threads;
  options.isa = options_.isa == "auto" ? best_cpu_isa() : options_.isa;
  ASSIGN_OR_RETURN(const int64_t tier,
                   agree_on_smallest(*comms_.group, progress_, tier_index(options.isa)));
  if (tier >= 0) options.isa = kTiers[tier];
  ASSIGN_OR_RETURN(backend_, make_cpu_backend(options));  // refuses a name that is no tier
  return ok_status();
}

// Ranks may share a device, whose free memory is then everybody's: they measure in turns, and
// nobody keeps anything before all have.
Status Worker::measure_memory(KvCacheRequest& request) {
  Status measured;
  for (int turn = 0; turn < comms_.group->size(); ++turn) {
    if (turn == comms_.rank) {
      const auto bytes =
          step_memory_bytes(*backend_, *model_, cut_, step_limits(request.max_model_len), comms_);
      measured = bytes.status();
      request.reserved_bytes = bytes.value_or(0);
      request.given_bytes = backend_->cache_bytes();
    }
    RETURN_IF_ERROR(meet());
  }
  return measured;
}

Status Worker::make_cache() {
  KvCacheRequest request;
  request.memory_bytes = options_.kv_memory_bytes;
  request.max_num_seqs = options_.max_num_seqs;
  request.max_model_len = longest_wanted();
  request.may_shorten = options_.max_model_len == 0;
  request.ranks_on_device = is_cuda() ? options_.ranks_on_device : options_.ranks_on_host;
  if (is_cuda()) RETURN_IF_ERROR(measure_memory(request));
  ASSIGN_OR_RETURN(
      KvCache cache,
      KvCache::make(*backend_, *shard_, static_cast<int32_t>(source_.config.head_dim), request));
  cache_ = std::make_unique<KvCache>(std::move(cache));
  memory_.step = request.reserved_bytes;
  memory_.pages = cache_->bytes();
  ASSIGN_OR_RETURN(num_pages_,
                   agree_on_smallest(*comms_.group, progress_, cache_->pages().num_pages));
  const int64_t fits = num_pages_ * cache_->pages().layout.page_tokens;
  max_model_len_ = static_cast<int32_t>(std::min(request.max_model_len, fits));
  return ok_status();
}

}  // namespace trireme

#include "worker/worker.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/cpu_tiers.h"
#include "base/host_info.h"
#include "base/text.h"
#include "kernels/cpu_backend.h"
#include "kernels/cuda_backend.h"
#include "worker/comm/host_collectives.h"
#include "worker/peer_agreement.h"
#include "worker/tuning_cache.h"

namespace trireme {
namespace {

// The minimum of the ranks' values. Collective.
StatusOr<int64_t> agree_on_smallest(Comm& comm, Progress& progress, int64_t value) {
  progress.enter(Phase::kWaitStage);  // others may load longer
  const StatusOr<std::vector<int64_t>> all = gather_values(comm, value);
  progress.enter(Phase::kLoading);
  RETURN_IF_ERROR(all.status());
  return *std::ranges::min_element(*all);
}

constexpr int64_t kMaxCudaHeadDim = 256;
constexpr TimeUs kAgreementUs = 120'000'000;  // ranks load at different speeds

}  // namespace

Worker::Worker(const WorkerOptions& options,
               const ModelSource& source,
               GroupComms& comms,
               Progress& progress,
               const ParallelPlan& partition)
    : options_(options),
      source_(source),
      comms_(comms),
      progress_(progress),
      partition_(partition),
      shard_(std::make_unique<ShardSpec>(source.config, partition_, comms.rank)) {}

Status Worker::check(const WorkerOptions& options, const ModelSource& source) {
  RETURN_IF_ERROR(
      ParallelPlan::make(source.config, options.tp, options.pp, options.backend).status());
  if (options.max_model_len <= source.config.max_positions) return ok_status();
  return invalid("TRI-GRP-007",
                 "--max-model-len is {}, the model has positions for {}; lower it or leave it out",
                 options.max_model_len,
                 source.config.max_positions);
}

StatusOr<std::unique_ptr<Worker>> Worker::make(const WorkerOptions& options,
                                               ModelSource& source,
                                               GroupComms& comms,
                                               Progress& progress,
                                               const LoadProgress& load_progress) {
  RETURN_IF_ERROR(check(options, source));
  ASSIGN_OR_RETURN(const ParallelPlan partition,
                   ParallelPlan::make(source.config, options.tp, options.pp, options.backend));
  std::unique_ptr<Worker> worker(new Worker(options, source, comms, progress, partition));
  RETURN_IF_ERROR(worker->start_up(source, load_progress));
  return worker;
}

Status Worker::start_up(ModelSource& source, const LoadProgress& load_progress) {
  SteadyClock clock;
  TimeUs last_us = clock.now_us();
  const auto lap = [&](double& seconds) {
    const TimeUs now_us = clock.now_us();
    seconds = static_cast<double>(now_us - std::exchange(last_us, now_us)) * 1e-6;
  };
  comms_.group->set_deadline(last_us + kAgreementUs);
  RETURN_IF_ERROR(make_backend());
  const DeviceMemory memory = backend_->device_memory();
  start_.module_bytes = memory.total - memory.free - memory.taken;
  lap(start_.device);
  if (backend_->captures_steps()) RETURN_IF_ERROR(agree());
  RETURN_IF_ERROR(load(source, load_progress));
  RETURN_IF_ERROR(reserve_cache());
  lap(start_.load);
  if (backend_->captures_steps()) RETURN_IF_ERROR(warm_up());
  lap(start_.warm_up);
  RETURN_IF_ERROR(fill_cache());
  lap(start_.pages);
  return ok_status();
}

std::string StartTimes::line() const {
  const auto tenths = [](double seconds) { return std::round(10 * seconds) / 10; };
  return format_text(
      "start {:g} s: device {:g}, weights and communicators {:g}, warm-up {:g}, KV pages {:g}; "
      "context and modules {}",
      tenths(device + load + warm_up + pages),
      tenths(device),
      tenths(load),
      tenths(warm_up),
      tenths(pages),
      format_bytes(static_cast<double>(module_bytes)));
}

// Before warm-up, whose steps run on all ranks together; the coordinator compares later. Then all
// ranks have made their lanes: the first streams of a device get hardware queues of their own.
Status Worker::agree() {
  progress_.enter(Phase::kWaitStage);
  RETURN_IF_ERROR(agree_with_peers(*comms_.group, hello()));
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  ASSIGN_OR_RETURN(devices_, find_device_share(comms_));
  progress_.enter(Phase::kLoading);
  return ok_status();
}

RankHello Worker::hello() const {
  const BackendInfo info = backend_->info();
  RankHello hello;
  hello.group = options_.group;
  hello.rank = comms_.rank;
  hello.host = options_.host;
  hello.pid = getpid();
  hello.tp = options_.tp;
  hello.pp = options_.pp;
  hello.fingerprint = source_.checkpoint->fingerprint();
  hello.dtype = std::string(name_of(options_.dtype));
  hello.invariant = options_.invariant;
  hello.backend = info.name;
  hello.isa = info.isa;
  hello.max_slots = options_.max_slots;
  hello.max_batched_tokens = options_.max_batched_tokens;
  hello.token_buckets = token_buckets();
  hello.row_buckets = row_buckets();
  hello.max_model_len = static_cast<int32_t>(requested_model_len());
  if (cache_ == nullptr || num_pages_ == 0) return hello;
  hello.max_model_len = max_model_len_;
  hello.pages = num_pages_;
  const KvLayout layout = kv_layout();
  hello.kv_layout = {.version = layout.version,
                     .dtype = std::string(name_of(layout.dtype)),
                     .page_tokens = layout.page_tokens,
                     .head_dim = layout.head_dim,
                     .unit = layout.unit,
                     .v_order = layout.v_order,
                     .scale_bytes = layout.scale_bytes};
  return hello;
}

Status Worker::load(ModelSource& source, const LoadProgress& load_progress) {
  ASSIGN_OR_RETURN(
      ModelWeights weights,
      load_weights(source.config, *source.checkpoint, *shard_, *backend_, load_progress));
  memory_.weights = taken_since(0);
  RETURN_IF_ERROR(make_comms());
  memory_.communicators = taken_since(memory_.weights);
  ASSIGN_OR_RETURN(
      ShardModel model,
      ShardModel::make(
          source.config, *shard_, *backend_, std::move(weights), requested_model_len()));
  model_ = std::make_unique<ShardModel>(std::move(model));
  return ok_status();
}

Status Worker::make_executor(int64_t max_model_len) {
  ASSIGN_OR_RETURN(
      executor_,
      StepExecutor::make(
          *backend_, *model_, partition_, *cache_, step_limits(max_model_len), comms_, progress_));
  return ok_status();
}

Status Worker::start(int64_t num_pages, ResultSink& sink) {
  CHECK(num_pages > 0 && num_pages <= cache_->pages().num_pages);
  if (is_started_) RETURN_IF_ERROR(executor_->reset());
  if (executor_ == nullptr) RETURN_IF_ERROR(make_executor(max_model_len_));
  is_started_ = true;
  executor_->begin(num_pages, max_model_len_, sink);
  return ok_status();
}

Status Worker::barrier() {
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  return agree_on_smallest(*comms_.group, progress_, 0).status();
}

// Allocates what steps need besides pages: buffers, matmul algorithms, captured graphs. Pages get
// the memory that is left.
Status Worker::warm_up() {
  RETURN_IF_ERROR(make_executor(requested_model_len()));
  memory_.step = taken_since(memory_.weights + memory_.communicators);
  // Barrier: an allocation waits for all work of the device, and a later kernel of a rank that
  // shares the device may wait for this rank. All ranks have their buffers now; only graphs take
  // more.
  RETURN_IF_ERROR(barrier());
  RETURN_IF_ERROR(share_tuning());
  RETURN_IF_ERROR(barrier());  // all ranks have cuBLASLt's memory, too
  return executor_->warm_up();
}

// The fastest algorithm of each matmul: from the tuning cache, or measured where it has none. An
// unusable or unwritable cache file costs time only.
std::string Worker::tune() {
  const std::string name = backend_->tuning_name();
  if (name.empty()) return {};
  const TuningCache file(options_.cache_folder, name);
  const std::string kept = file.read();
  if (!kept.empty() && !backend_->load_tuning(kept)) {
    std::fprintf(stderr,
                 "rank %d: the matmul algorithms in %s are damaged or of another device; they are"
                 " measured again\n",
                 comms_.rank,
                 file.path().c_str());
  }
  executor_->tune();
  std::string algorithms = backend_->save_tuning();
  if (algorithms == kept) return algorithms;
  const Status written = file.write(algorithms);
  if (!written.ok()) {
    std::fprintf(stderr, "rank %d: %s\n", comms_.rank, message_of(written).c_str());
  }
  return algorithms;
}

// All ranks use the algorithms that rank 0 has chosen: another choice could change the last bits.
Status Worker::share_tuning() {
  progress_.enter(Phase::kWarming);
  std::string algorithms;
  if (comms_.rank == 0) algorithms = tune();
  int64_t size = static_cast<int64_t>(algorithms.size());
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  progress_.enter(Phase::kWaitStage);
  RETURN_IF_ERROR(share_from_first(*comms_.group, std::as_writable_bytes(std::span(&size, 1))));
  algorithms.resize(size);
  if (size > 0) {
    RETURN_IF_ERROR(share_from_first(*comms_.group, std::as_writable_bytes(std::span(algorithms))));
  }
  progress_.enter(Phase::kWarming);
  if (size == 0 || backend_->load_tuning(algorithms)) return ok_status();
  return invalid("TRI-CUDA-009",
                 "rank {} cannot use the matmul algorithms of rank 0: its device or its cuBLASLt "
                 "differs; give a group devices and libraries of one kind",
                 comms_.rank);
}

StepLimits Worker::step_limits(int64_t max_model_len) const {
  StepLimits limits;
  limits.max_slots = options_.max_slots;
  limits.max_batched_tokens = max_batched_tokens();
  limits.max_model_len = static_cast<int32_t>(max_model_len);
  limits.vocabulary_limit = source_.config.vocabulary_size;
  if (options_.vocabulary_limit > 0)
    limits.vocabulary_limit = std::min(options_.vocabulary_limit, limits.vocabulary_limit);
  limits.step_timeout_us = options_.step_timeout_us;
  limits.trace = options_.trace;
  limits.captured = CapturedSteps(token_buckets(), row_buckets());
  limits.shares_device = shares_device();
  limits.captures_whole_rows = gathers_rows_;
  return limits;
}

Status Worker::make_backend() {
  if (!is_cuda()) return make_cpu_backend_of_group();
  if (source_.config.head_dim > kMaxCudaHeadDim) {
    return invalid("TRI-CUDA-003",
                   "heads of {} dimensions have no attention kernel for CUDA, at most {} have; use "
                   "--backend cpu",
                   source_.config.head_dim,
                   kMaxCudaHeadDim);
  }
  CudaBackendOptions options;
  options.device = options_.device;
  options.dtype = options_.dtype;
  options.invariant = options_.invariant;
  options.max_batched_tokens = max_batched_tokens();
  ASSIGN_OR_RETURN(backend_, make_cuda_backend(options));
  return ok_status();
}

// After the weights, before everything that is sized by the memory left.
Status Worker::make_comms() {
  if (!is_cuda()) return ok_status();
  const ActivationTypes types = backend_->types();
  DeviceCommOptions options;
  options.residual_bytes = max_batched_tokens() *
                           aligned(source_.config.hidden_size, types.row_alignment) *
                           size_of(types.residual);
  options.token_bytes = int64_t{options_.max_slots} * 4;
  options.in_rank_order = options_.invariant;
  // Behind the deadlines of the step, half as long again between stages: they name the late peer.
  options.wait_limit_us = 2 * options_.step_timeout_us;
  progress_.enter(Phase::kWaitStage);  // the others may load longer
  RETURN_IF_ERROR(use_device_comms(comms_, *backend_, devices_, options));
  ASSIGN_OR_RETURN(
      const int64_t gathers,
      agree_on_smallest(*comms_.group, progress_, comms_.tensor->has_whole_rows() ? 1 : 0));
  gathers_rows_ = gathers != 0;
  return ok_status();
}

Status Worker::make_cpu_backend_of_group() {
  CpuBackendOptions options;
  options.dtype = options_.dtype;
  options.num_threads =
      options_.threads > 0 ? options_.threads : usable_core_count(options_.ranks_on_host);
  num_threads_ = options.num_threads;
  options.isa = options_.isa == "auto" ? best_cpu_tier() : options_.isa;
  ASSIGN_OR_RETURN(const int64_t tier,
                   agree_on_smallest(*comms_.group, progress_, cpu_tier_index(options.isa)));
  if (tier >= 0) options.isa = kCpuTiers[tier];
  ASSIGN_OR_RETURN(backend_, make_cpu_backend(options));  // refuses an unknown tier
  return ok_status();
}

Status Worker::reserve_cache() {
  KvCacheRequest request;
  request.memory_bytes = options_.kv_memory_bytes;
  request.max_slots = options_.max_slots;
  request.max_model_len = requested_model_len();
  request.may_shorten = options_.max_model_len == 0;
  ASSIGN_OR_RETURN(
      KvCache cache,
      KvCache::reserve(*backend_, *shard_, static_cast<int32_t>(source_.config.head_dim), request));
  cache_ = std::make_unique<KvCache>(std::move(cache));
  return ok_status();
}

// Ranks can share a GPU. Barrier; every rank reads the free memory (count_memory() is the second
// barrier); then each allocates its share of KV pages.
Status Worker::fill_cache() {
  if (is_cuda()) RETURN_IF_ERROR(barrier());
  comms_.group->set_deadline(SteadyClock().now_us() + kAgreementUs);
  const int64_t given_bytes = backend_->cache_bytes();
  if (is_cuda()) RETURN_IF_ERROR(count_memory());
  const int sharers = is_cuda() ? memory_.sharers : std::max(options_.ranks_on_host, 1);
  RETURN_IF_ERROR(cache_->fill(given_bytes / sharers));
  memory_.pages = cache_->bytes();
  ASSIGN_OR_RETURN(num_pages_,
                   agree_on_smallest(*comms_.group, progress_, cache_->pages().num_pages));
  const int64_t fits = num_pages_ * cache_->pages().layout.page_tokens;
  max_model_len_ = static_cast<int32_t>(std::min(requested_model_len(), fits));
  return ok_status();
}

// Attributes the used memory of the device. Collective: every rank has read the free memory when
// this returns.
Status Worker::count_memory() {
  const DeviceMemory memory = backend_->device_memory();
  memory_.reserve = memory.free - backend_->cache_bytes();
  progress_.enter(Phase::kWaitStage);
  ASSIGN_OR_RETURN(const std::vector<int64_t> taken, gather_values(*comms_.group, memory.taken));
  progress_.enter(Phase::kWarming);
  int64_t lost = memory.total - memory.free;
  for (const int32_t rank : devices_.ranks_here) lost -= taken[rank];
  memory_.sharers = static_cast<int>(devices_.ranks_here.size());
  memory_.modules = lost / memory_.sharers;
  return ok_status();
}

}  // namespace trireme

#include "worker/step/step_executor.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/spin_wait.h"
#include "worker/comm/host_collectives.h"
#include "worker/step/plan_check.h"
#include "worker/step/step_limits.h"

namespace trireme {
namespace {

constexpr size_t kSmallIds = 512;  // of a short list for the device

}  // namespace

StepExecutor::StepExecutor(Backend& backend,
                           const ShardModel& model,
                           const ParallelPlan& partition,
                           const KvCache& cache,
                           const StepLimits& limits,
                           GroupComms& comms,
                           Progress& progress)
    : backend_(backend),
      model_(model),
      partition_(partition),
      cache_(cache),
      limits_(limits),
      comms_(comms),
      progress_(progress),
      deadline_(backend, comms, limits.step_timeout_us),
      slots_({.max_slots = limits.max_slots,
              .max_model_len = limits.max_model_len,
              .page_tokens = cache.pages().layout.page_tokens,
              .vocabulary = static_cast<int32_t>(model.config().vocabulary_size),
              .draws = comms.stage == partition.pp() - 1}) {}

StatusOr<std::unique_ptr<StepExecutor>> StepExecutor::make(Backend& backend,
                                                           const ShardModel& model,
                                                           const ParallelPlan& partition,
                                                           const KvCache& cache,
                                                           const StepLimits& limits,
                                                           GroupComms& comms,
                                                           Progress& progress) {
  std::unique_ptr<StepExecutor> executor(
      new StepExecutor(backend, model, partition, cache, limits, comms, progress));
  RETURN_IF_ERROR(executor->allocate());
  return executor;
}

Status StepExecutor::allocate() {
  const int32_t depth = steps_under_way(partition_);
  const int64_t hidden = model_.config().hidden_size;
  ASSIGN_OR_RETURN(SlotState memory,
                   SlotState::make(backend_, limits_.max_slots, limits_.max_model_len, is_last()));
  memory_ = std::make_unique<SlotState>(std::move(memory));
  ASSIGN_OR_RETURN(StepInputs inputs,
                   StepInputs::make(backend_,
                                    limits_.max_batched_tokens,
                                    slots_,
                                    depth,
                                    limits_.shares_device ? backend_.lane() : backend_.side()));
  inputs_ = std::make_unique<StepInputs>(std::move(inputs));
  ASSIGN_OR_RETURN(
      Lane lane,
      Lane::make(
          backend_, model_.config(), model_.shard(), *comms_.tensor, lane_limits(model_, limits_)));
  lane_ = std::make_unique<Lane>(std::move(lane));
  ASSIGN_OR_RETURN(
      ResidualRing ring,
      ResidualRing::make(
          backend_, *comms_.pipeline, *lane_->queue, limits_.max_batched_tokens, hidden));
  residuals_ = std::make_unique<ResidualRing>(std::move(ring));
  ASSIGN_OR_RETURN(TokenReturn token_return,
                   TokenReturn::make(backend_, *comms_.tokens, limits_.max_slots));
  token_return_ = std::make_unique<TokenReturn>(std::move(token_return));
  if (is_last()) {
    ASSIGN_OR_RETURN(
        Sampler sampler,
        Sampler::make(
            backend_, model_, *comms_.tensor, limits_.max_slots, limits_.vocabulary_limit));
    sampler_ = std::make_unique<Sampler>(std::move(sampler));
  }
  ASSIGN_OR_RETURN(
      StepResults answers,
      StepResults::make(
          backend_, sampler_.get(), limits_.max_slots, depth, inputs_->step_counter()));
  answers_ = std::make_unique<StepResults>(std::move(answers));
  ASSIGN_OR_RETURN(
      captured_residual_,
      lane_->add_matrix(backend_, backend_.types().residual, limits_.max_batched_tokens, hidden));
  ASSIGN_OR_RETURN(small_, backend_.allocate(kSmallIds * 4, "short lists"));
  ASSIGN_OR_RETURN(StepProbes probes, StepProbes::make(backend_, model_, comms_.tensor_index));
  probes_ = std::make_unique<StepProbes>(std::move(probes));
  copy_list_.reserve(kSmallIds);
  return ok_status();
}

Status StepExecutor::warm_up() {
  if (limits_.captured.keys().empty()) return ok_status();
  // The largest step, and then each: libraries allocate and load now what they need for it.
  const int32_t max_rows = limits_.captured.keys().back().num_rows;
  RETURN_IF_ERROR(run_padding({limits_.max_batched_tokens, max_rows, true}));
  for (const StepKey& key : limits_.captured.keys()) RETURN_IF_ERROR(run_padding(key));
  // Padding draws nothing, so these messages have not occurred yet; libraries allocate for them
  // now.
  deadline_.begin_step();
  progress_.enter(Phase::kWaitStage);
  const Workspace& memory = lane_->workspace;
  exchange_first_messages(comms_, *lane_->queue, {memory.data, static_cast<size_t>(memory.bytes)});
  RETURN_IF_ERROR(deadline_.wait(*lane_->queue, deadline_.deadline_us()));
  RETURN_IF_ERROR(deadline_.status());
  // Barriers: making a graph may take memory, which waits for all kernels of the device, and a
  // kernel of a rank that shares it may wait for this rank.
  RETURN_IF_ERROR(meet());
  for (const StepKey& key : limits_.captured.keys()) RETURN_IF_ERROR(capture(key));
  RETURN_IF_ERROR(meet());
  for (const StepKey& key : limits_.captured.keys()) RETURN_IF_ERROR(run_padding(key));
  return ok_status();
}

// Barrier over the group.
Status StepExecutor::meet() {
  constexpr TimeUs kMeetUs = 120'000'000;  // another rank may capture for longer
  progress_.enter(Phase::kWaitStage);
  RETURN_IF_ERROR(meet_all(*comms_.group, kMeetUs));
  progress_.work();
  return ok_status();
}

// Captures the step of `key` with padding only, and runs nothing.
Status StepExecutor::capture(const StepKey& key) {
  StepPlan plan;
  plan.parts.emplace_back();
  deadline_.begin_step();
  RETURN_IF_ERROR(inputs_->fill(*lane_->queue, plan.parts[0], 0, slots_, *memory_));
  inputs_->pad(key.num_tokens, key.num_rows, key.is_mixed);
  PendingStep pending;
  StepFrame frame{plan, pending, key, captured_residual_.first_rows(key.num_tokens), {}};
  backend_.capture(*lane_->queue, key, [this, &frame] { enqueue_step(frame); });
  progress_.work();
  RETURN_IF_ERROR(frame.status);
  RETURN_IF_ERROR(backend_.status(*lane_->queue));
  return deadline_.status();
}

Status StepExecutor::run_padding(const StepKey& key) {
  StepPlan plan;
  plan.parts.emplace_back();
  deadline_.begin_step();
  RETURN_IF_ERROR(inputs_->fill(*lane_->queue, plan.parts[0], 0, slots_, *memory_));
  PendingStep& pending = answers_->begin(plan, clock_.now_us(), deadline_.deadline_us());
  RETURN_IF_ERROR(run_tokens(plan, pending, key));
  progress_.enter(Phase::kWaitStage);  // the device may wait for a peer
  RETURN_IF_ERROR(deadline_.wait(*lane_->queue, deadline_.deadline_us()));
  RETURN_IF_ERROR(deadline_.status());
  answers_->answer(slots_, nullptr, clock_.now_us());
  progress_.work();
  return ok_status();
}

void StepExecutor::begin(int64_t num_pages, int32_t max_model_len, ResultSink& sink) {
  slots_.limit(static_cast<int32_t>(num_pages), max_model_len);
  sink_ = &sink;
  probes_->begin(sink);
}

Status StepExecutor::reset() {
  RETURN_IF_ERROR(finish());
  residuals_->restart(*lane_->queue);
  slots_.reset();
  inputs_->reset();
  last_step_ = 0;
  progress_.step.store(0, std::memory_order_relaxed);
  progress_.completed.store(0, std::memory_order_relaxed);
  return deadline_.status();
}

Status StepExecutor::execute(const StepPlan& plan) {
  if (answers_->is_full()) RETURN_IF_ERROR(answer_oldest());
  const TimeUs start_us = clock_.now_us();
  waited_us_ = 0;
  progress_.step.store(plan.step, std::memory_order_relaxed);
  RETURN_IF_ERROR(check_plan(plan, last_step_));
  deadline_.begin_step();
  if (is_first()) {
    progress_.enter(Phase::kWaitIds);
    token_return_->take_through(*lane_->queue, plan.wait_ids_through, memory_->ids());
    waited_us_ += mark("wait ids", start_us) - start_us;
    RETURN_IF_ERROR(deadline_.status());
  }
  progress_.work();
  RETURN_IF_ERROR(update_slots(plan));
  RETURN_IF_ERROR(inputs_->fill(*lane_->queue, plan.parts[0], plan.step, slots_, *memory_));
  RETURN_IF_ERROR(find_score_rows(plan.parts[0], *inputs_, slots_, score_rows_));
  RETURN_IF_ERROR(probes_->check(plan.parts[0], *inputs_));
  PendingStep& pending = answers_->begin(plan, start_us, deadline_.deadline_us());
  if (inputs_->batch().num_tokens > 0) {
    note_draws(pending);
    const StepKey key = step_key(plan, pending);
    RETURN_IF_ERROR(run_tokens(plan, pending, key));
    last_.num_tokens = inputs_->batch().num_tokens;
    last_.is_replayed = key.num_tokens > 0;
    last_.num_rows = last_.is_replayed ? key.num_rows : static_cast<int32_t>(pending.rows.size());
  }
  RETURN_IF_ERROR(deadline_.status());
  pending.waited_us = waited_us_;
  pending.failures.assign(slots_.failures().begin(), slots_.failures().end());
  slots_.clear_failures();
  last_step_ = plan.step;
  RETURN_IF_ERROR(poll());
  last_.host_us = clock_.now_us() - start_us - waited_us_;
  progress_.enter(Phase::kIdle);
  return ok_status();
}

Status StepExecutor::poll() {
  RETURN_IF_ERROR(deadline_.poll());
  while (!answers_->is_empty() && answers_->oldest_is_done()) RETURN_IF_ERROR(answer_oldest());
  RETURN_IF_ERROR(backend_.status(*lane_->queue));
  if (answers_->is_empty() ||
      clock_.now_us() < answers_->oldest().deadline_us + deadline_.stage_grace_us()) {
    return ok_status();
  }
  RETURN_IF_ERROR(deadline_.find_late_peer());
  return timed_out("TRI-STEP-024",
                   "the device did not finish step {} within {} s; look at the other ranks' last "
                   "lines and at the device",
                   answers_->oldest().step,
                   limits_.step_timeout_us / 1'000'000);
}

Status StepExecutor::drain() {
  while (!answers_->is_empty()) RETURN_IF_ERROR(answer_oldest());
  return ok_status();
}

Status StepExecutor::finish() {
  progress_.enter(Phase::kWaitStage);
  deadline_.begin_step();
  RETURN_IF_ERROR(drain());
  residuals_->flush();
  token_return_->flush(*lane_->queue, memory_->ids());
  RETURN_IF_ERROR(deadline_.status());
  return deadline_.wait(*lane_->queue, deadline_.deadline_us());
}

Status StepExecutor::update_slots(const StepPlan& plan) {
  const StepPart& part = plan.parts[0];
  for (const SlotId slot : part.closed) RETURN_IF_ERROR(slots_.close(slot));
  for (const OpenedSlot& opened : part.opened) {
    RETURN_IF_ERROR(slots_.open(opened));
    if (!slots_[opened.slot].failed) memory_->open(*lane_->queue, opened);
  }
  for (const PageGrant& grant : part.grants) RETURN_IF_ERROR(slots_.grant(grant));
  RETURN_IF_ERROR(copy_pages(part));
  return partition_.pp() == 1 ? ok_status() : check_ids_are_awaited(plan, slots_);
}

Status StepExecutor::copy_pages(const StepPart& part) {
  constexpr size_t kAtOnce = kSmallIds / 2;
  for (const PageCopy& copy : part.copies) RETURN_IF_ERROR(slots_.check_copy(copy));
  for (size_t begin = 0; begin < part.copies.size(); begin += kAtOnce) {
    const auto copies = std::span(part.copies).subspan(begin);
    const auto count = static_cast<int32_t>(std::min(copies.size(), kAtOnce));
    copy_list_.clear();
    for (int32_t i = 0; i < count; ++i) copy_list_.push_back(copies[i].from);
    for (int32_t i = 0; i < count; ++i) copy_list_.push_back(copies[i].to);
    const int32_t* const list = put(copy_list_);
    backend_.copy_pages(*lane_->queue, cache_.pages(), list, list + count, count);
    progress_.bump();
  }
  return ok_status();
}

Status StepExecutor::run_tokens(const StepPlan& plan, PendingStep& pending, const StepKey& key) {
  Queue& queue = *lane_->queue;
  const TimeUs begin_us = clock_.now_us();
  if (key.num_tokens > 0) inputs_->pad(key.num_tokens, key.num_rows, key.is_mixed);
  inputs_->send(queue);
  progress_.enter(Phase::kWaitStage);
  const Tensor residual = residuals_->begin_step(queue, inputs_->batch().num_tokens);
  const TimeUs now_us = is_first() ? clock_.now_us() : mark("receive", begin_us);
  waited_us_ += now_us - begin_us;
  RETURN_IF_ERROR(deadline_.status());
  progress_.work();

  StepFrame frame{plan, pending, key, residual, {}};
  // A captured step uses a fixed residual; the ring's current buffer is copied to and from it.
  const bool moves = key.num_tokens > 0 && partition_.pp() > 1;
  if (moves) frame.residual = captured_residual_.first_rows(residual.rows);
  if (moves && !is_first()) backend_.gather_rows(queue, residual, nullptr, frame.residual);
  backend_.run(queue, key, [this, &frame] { enqueue_step(frame); });
  RETURN_IF_ERROR(frame.status);
  if (moves && !is_last()) backend_.gather_rows(queue, frame.residual, nullptr, residual);

  answers_->note_posted(pending);
  const TimeUs ran_us = clock_.now_us();
  residuals_->end_step(queue);
  if (!is_last()) mark("send", ran_us);
  if (is_first() && !is_last()) {
    token_return_->expect(queue, plan.step, inputs_->draws(), memory_->ids());
  }
  if (is_last()) {
    token_return_->send(queue, sampler_->ids(), static_cast<int32_t>(pending.rows.size()));
  }
  for (const DrawRow& row : inputs_->draws()) slots_.note_draw(row.slot, plan.step);
  return ok_status();
}

// The key of the captured step that serves this plan, or the empty key where the step needs ops
// that captured steps lack. A function of the plan alone, so that all ranks choose alike.
StepKey StepExecutor::step_key(const StepPlan& plan, const PendingStep& pending) const {
  const GraphKey& named = plan.graph_key;
  const StepPart& part = plan.parts[0];
  const bool fits = named.token_bucket >= inputs_->batch().num_tokens &&
                    named.token_bucket <= limits_.max_batched_tokens &&
                    named.row_bucket >= static_cast<int32_t>(pending.rows.size()) &&
                    named.row_bucket <= limits_.max_slots;
  const bool is_plain = part.scores.empty() && part.probes.empty() &&
                        (pending.whole().empty() || draws_together()) && !inputs_->keeps_history();
  return fits && is_plain ? limits_.captured.key_for(named) : StepKey();
}

// Whether rows that are drawn whole are drawn with the others. A function of the plan alone.
bool StepExecutor::draws_together() const {
  return limits_.captures_whole_rows && !inputs_->has_logprobs();
}

// Enqueues the ops of a step between receiving and sending the residual; this part is captured.
void StepExecutor::enqueue_step(StepFrame& frame) {
  Queue& queue = *lane_->queue;
  const BatchView& batch = inputs_->batch();
  TimeUs now_us = clock_.now_us();
  inputs_->take(queue);
  if (is_first()) {
    backend_.feed_ids(queue, batch, memory_->ids().last, inputs_->token_ids());
    model_.embed(*lane_, batch, frame.residual, progress_);
    now_us = mark("embed", now_us);
  }
  ProbeTap tap(*probes_, {frame.plan, *inputs_, *lane_, deadline_.deadline_us()});
  model_.run_layers(*lane_, batch, cache_.pages(), frame.residual, tap, progress_);
  now_us = mark("layers", now_us);
  frame.status = tap.status();
  if (is_last() && frame.status.ok() && deadline_.status().ok()) {
    frame.status = draw(frame);
    mark("head and draw", now_us);
  }
  const bool has_draws =
      frame.key.num_tokens > 0 ? frame.key.num_rows > 0 : !frame.pending.rows.empty();
  answers_->post(queue, frame.pending, has_draws);
}

void StepExecutor::note_draws(PendingStep& pending) const {
  pending.num_by_shard = inputs_->num_by_shard();
  for (const DrawRow& row : inputs_->draws()) {
    const Slot& slot = slots_[row.slot];
    pending.rows.push_back({.slot = row.slot,
                            .generation = row.generation,
                            .position = slot.computed,
                            .index = slot.num_emitted,
                            .num_top = slot.failed ? -1 : slot.sampling.num_logprobs});
  }
}

Status StepExecutor::draw(const StepFrame& frame) {
  Queue& queue = *lane_->queue;
  PendingStep& pending = frame.pending;
  const StepArrays& step = inputs_->device();
  const bool is_captured = frame.key.num_tokens > 0;
  const auto num_rows =
      is_captured ? frame.key.num_rows : static_cast<int32_t>(pending.rows.size());
  if (inputs_->keeps_history()) {
    backend_.keep_ids(queue,
                      step.token_ids.data(),
                      step.slots.data(),
                      step.places.data(),
                      inputs_->batch().num_tokens,
                      memory_->ids());
  }
  if (draws_together() && (is_captured || !pending.whole().empty())) {
    sampler_->draw_together(*lane_, frame.residual, step, num_rows, progress_);
  } else {
    const int32_t num_by_shard = is_captured ? num_rows : pending.num_by_shard;
    sampler_->draw(*lane_, frame.residual, step, num_by_shard, pending.whole(), progress_);
  }
  RETURN_IF_ERROR(deadline_.status());
  if (num_rows > 0) {
    backend_.keep_ids(queue,
                      sampler_->ids(),
                      step.sampled_slots.data(),
                      step.sampled_places.data(),
                      num_rows,
                      memory_->ids());
  }
  if (!score_rows_.empty()) {
    RETURN_IF_ERROR(sampler_->score(
        *lane_, frame.residual, score_rows_, deadline_.deadline_us(), pending.scores, progress_));
  }
  return probes_->take_logits({frame.plan, *inputs_, *lane_, deadline_.deadline_us()},
                              frame.residual,
                              *sampler_,
                              progress_);
}

Status StepExecutor::answer_oldest() {
  // Waits for the oldest step only: waiting for the whole queue would leave the device idle.
  SpinWait patience(clock_, answers_->oldest().deadline_us);
  while (!answers_->oldest_is_done()) {
    RETURN_IF_ERROR(backend_.status(*lane_->queue));
    if (patience.wait()) continue;
    RETURN_IF_ERROR(deadline_.wait(*lane_->queue, answers_->oldest().deadline_us));
    break;
  }
  const int64_t step = answers_->oldest().step;
  answers_->answer(slots_, answers() ? sink_ : nullptr, clock_.now_us());
  progress_.completed.store(step, std::memory_order_relaxed);
  return ok_status();
}

const int32_t* StepExecutor::put(std::span<const int32_t> values) {
  CHECK(values.size() <= kSmallIds);
  backend_.upload(*lane_->queue, small_.data(), std::as_bytes(values));
  return reinterpret_cast<const int32_t*>(small_.data());
}

TimeUs StepExecutor::mark(const char* name, TimeUs begin_us) {
  const TimeUs now_us = clock_.now_us();
  if (limits_.trace != nullptr) {
    limits_.trace->span(name, 0, begin_us, now_us, progress_.step.load(std::memory_order_relaxed));
  }
  return now_us;
}

}  // namespace trireme

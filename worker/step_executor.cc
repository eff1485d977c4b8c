#include "worker/step_executor.h"

#include <algorithm>
#include <utility>

namespace trireme {

// Sends the hidden states that a plan asks for, from the first rank of this stage.
class StepExecutor::ProbeTap final : public LayerTap {
 public:
  ProbeTap(StepExecutor& executor, const StepPlan& plan) : executor_(executor), plan_(plan) {}

  bool wants(int64_t layer) const override {
    if (executor_.comms_.tensor_index != 0) return false;
    return std::ranges::any_of(plan_.parts[0].probes,
                               [&](const ProbeRequest& probe) { return probe.layer == layer; });
  }

  void take(int64_t layer, Tensor hidden) override {
    std::vector<float> values(hidden.columns);
    for (const ProbeRequest& probe : plan_.parts[0].probes) {
      if (probe.layer != layer) continue;
      const int32_t row = executor_.inputs_->row_of(probe.slot, probe.position);
      executor_.backend_.download(*executor_.lane_->queue,
                                  std::as_writable_bytes(std::span(values)),
                                  reinterpret_cast<const std::byte*>(hidden.row<float>(row)));
      executor_.emit_probe(plan_, probe, values);
    }
  }

 private:
  StepExecutor& executor_;
  const StepPlan& plan_;
};

StepExecutor::StepExecutor(Backend& backend,
                           const ShardModel& model,
                           const ParallelPlan& cut,
                           const KvCache& cache,
                           int64_t num_pages,
                           const StepLimits& limits,
                           GroupComms& comms,
                           Progress& progress,
                           ResultSink& sink)
    : backend_(backend),
      model_(model),
      cut_(cut),
      cache_(cache),
      limits_(limits),
      comms_(comms),
      progress_(progress),
      sink_(sink),
      slots_({.max_slots = limits.max_slots,
              .max_model_len = limits.max_model_len,
              .page_tokens = cache.pages().layout.page_tokens,
              .num_pages = static_cast<int32_t>(num_pages),
              .vocabulary = static_cast<int32_t>(model.config().vocabulary_size),
              .draws = comms.stage == cut.pp() - 1}) {
  result_.slots.reserve(limits.max_slots);
  result_.counts.reserve(limits.max_slots);
  result_.ids.reserve(limits.max_slots);
}

StatusOr<std::unique_ptr<StepExecutor>> StepExecutor::make(Backend& backend,
                                                           const ShardModel& model,
                                                           const ParallelPlan& cut,
                                                           const KvCache& cache,
                                                           int64_t num_pages,
                                                           const StepLimits& limits,
                                                           GroupComms& comms,
                                                           Progress& progress,
                                                           ResultSink& sink) {
  std::unique_ptr<StepExecutor> made(
      new StepExecutor(backend, model, cut, cache, num_pages, limits, comms, progress, sink));
  StepExecutor& executor = *made;
  ASSIGN_OR_RETURN(StepInputs inputs,
                   StepInputs::make(backend, limits.max_tokens, executor.slots_));
  executor.inputs_ = std::make_unique<StepInputs>(std::move(inputs));
  ASSIGN_OR_RETURN(Lane lane,
                   Lane::make(backend,
                              model.config(),
                              model.shard(),
                              *comms.tensor,
                              limits.max_tokens,
                              Sampler::kHeadRows));
  executor.lane_ = std::make_unique<Lane>(std::move(lane));
  ASSIGN_OR_RETURN(ResidualRing ring,
                   ResidualRing::make(backend,
                                      *comms.pipeline,
                                      *executor.lane_->queue,
                                      limits.max_tokens,
                                      model.config().hidden_size));
  executor.residuals_ = std::make_unique<ResidualRing>(std::move(ring));
  executor.token_return_ = std::make_unique<TokenReturn>(*comms.tokens, limits.max_slots);
  if (executor.is_last()) {
    ASSIGN_OR_RETURN(
        Sampler sampler,
        Sampler::make(backend, model, *comms.tensor, limits.max_slots, limits.drawable));
    executor.sampler_ = std::make_unique<Sampler>(std::move(sampler));
  }
  return made;
}

Status StepExecutor::execute(const StepPlan& plan) {
  const TimeUs start_us = clock_.now_us();
  waited_us_ = 0;
  progress_.step.store(plan.step, std::memory_order_relaxed);
  result_.slots.clear();
  result_.counts.clear();
  result_.ids.clear();
  result_.logprobs.clear();
  result_.scores.clear();
  RETURN_IF_ERROR(check_plan(plan));
  set_deadline();
  if (is_first()) {
    progress_.enter(Phase::kWaitIds);
    token_return_->take_through(plan.wait_ids_through, slots_);
    waited_us_ += mark("wait ids", start_us) - start_us;
    RETURN_IF_ERROR(comm_status());
  }
  progress_.enter(Phase::kCompute);
  RETURN_IF_ERROR(update_slots(plan));
  RETURN_IF_ERROR(inputs_->fill(*lane_->queue, plan.parts[0], plan.step, slots_));
  RETURN_IF_ERROR(check_asked(plan.parts[0]));
  if (inputs_->batch().num_tokens > 0) run_tokens(plan);
  RETURN_IF_ERROR(comm_status());
  RETURN_IF_ERROR(backend_.wait(*lane_->queue, deadline_us_));
  last_step_ = plan.step;
  if (answers()) answer(plan, start_us);
  slots_.clear_failures();
  progress_.enter(Phase::kIdle);
  return ok_status();
}

Status StepExecutor::poll() {
  for (Comm* comm :
       {comms_.group.get(), comms_.tensor.get(), comms_.pipeline.get(), comms_.tokens.get()}) {
    comm->poll();
  }
  return comm_status();
}

Status StepExecutor::finish() {
  progress_.enter(Phase::kWaitStage);
  set_deadline();
  residuals_->flush();
  token_return_->flush(slots_);
  return comm_status();
}

Status StepExecutor::check_plan(const StepPlan& plan) const {
  if (plan.step != last_step_ + 1) {
    return invalid("TRI-STEP-016",
                   "the plan of step ",
                   plan.step,
                   " came after step ",
                   last_step_,
                   "; steps come one by one");
  }
  if (plan.parts.size() != 1 || plan.late || !plan.parts[0].verifies.empty()) {
    return invalid("TRI-STEP-017",
                   "the plan of step ",
                   plan.step,
                   " has ",
                   plan.parts.size(),
                   " parts",
                   plan.late ? ", is late" : "",
                   "; this worker runs one part, without late masks and speculation: coordinator"
                   " and workers must be of one version");
  }
  if (plan.wait_ids_through < 0 || plan.wait_ids_through >= plan.step) {
    return invalid("TRI-STEP-018",
                   "the plan of step ",
                   plan.step,
                   " waits for the ids of step ",
                   plan.wait_ids_through,
                   "; it can wait for earlier steps only");
  }
  return ok_status();
}

Status StepExecutor::update_slots(const StepPlan& plan) {
  const StepPart& part = plan.parts[0];
  for (const SlotId slot : part.closed) RETURN_IF_ERROR(slots_.close(slot));
  for (const OpenedSlot& opened : part.opened) RETURN_IF_ERROR(slots_.open(opened));
  for (const PageGrant& grant : part.grants) RETURN_IF_ERROR(slots_.grant(grant));
  RETURN_IF_ERROR(copy_pages(part));
  for (const SlotId slot : part.decodes) {
    if (cut_.pp() == 1 || !slots_.is_open(slot)) continue;
    if (slots_[slot].ids_step <= plan.wait_ids_through) continue;
    return invalid("TRI-STEP-019",
                   "the plan of step ",
                   plan.step,
                   " decodes slot ",
                   slot,
                   ", whose id is drawn in step ",
                   slots_[slot].ids_step,
                   ", but waits only for step ",
                   plan.wait_ids_through);
  }
  return ok_status();
}

Status StepExecutor::copy_pages(const StepPart& part) {
  if (part.copies.empty()) return ok_status();
  copy_from_.clear();
  copy_to_.clear();
  for (const PageCopy& copy : part.copies) {
    RETURN_IF_ERROR(slots_.check_copy(copy));
    copy_from_.push_back(copy.from);
    copy_to_.push_back(copy.to);
  }
  backend_.copy_pages(*lane_->queue, cache_.pages(), copy_from_, copy_to_);
  progress_.bump();
  return ok_status();
}

// Scores and probes may name only what the step computes.
Status StepExecutor::check_asked(const StepPart& part) {
  const auto vocabulary = static_cast<TokenId>(model_.config().vocabulary_size);
  score_rows_.clear();
  for (const ScoreRequest& score : part.scores) {
    const int32_t row = inputs_->row_of(score.slot, score.position);
    if (row < 0) {
      return invalid("TRI-STEP-020",
                     "the plan asks for a score at position ",
                     score.position,
                     " of slot ",
                     score.slot,
                     ", which the step does not compute");
    }
    if (score.next_id < 0 || score.next_id >= vocabulary || score.num_top < 0 ||
        score.num_top > kMaxLogprobs) {
      slots_.fail(score.slot,
                  concat("TRI-STEP-021: a score of token id ",
                         score.next_id,
                         " with the top ",
                         score.num_top,
                         "; ids are 0 to ",
                         vocabulary - 1,
                         ", the top 0 to ",
                         kMaxLogprobs));
      continue;
    }
    score_rows_.push_back({row, score});
  }
  for (const ProbeRequest& probe : part.probes) {
    const bool known_layer = probe.layer >= -1 && probe.layer <= model_.config().num_layers;
    if (known_layer && inputs_->row_of(probe.slot, probe.position) >= 0) continue;
    return invalid("TRI-STEP-022",
                   "the plan probes layer ",
                   probe.layer,
                   " at position ",
                   probe.position,
                   " of slot ",
                   probe.slot,
                   ", which the step does not compute or the model does not have");
  }
  return ok_status();
}

void StepExecutor::run_tokens(const StepPlan& plan) {
  const BatchView& batch = inputs_->batch();
  const TimeUs begin_us = clock_.now_us();
  progress_.enter(Phase::kWaitStage);
  const Tensor residual = residuals_->begin_step(*lane_->queue, batch.num_tokens);
  TimeUs now_us = is_first() ? clock_.now_us() : mark("receive", begin_us);
  waited_us_ += now_us - begin_us;
  if (!comm_status().ok()) return;
  progress_.enter(Phase::kCompute);
  if (is_first()) {
    model_.embed(*lane_, batch, residual, progress_);
    now_us = mark("embed", now_us);
  }
  ProbeTap tap(*this, plan);
  model_.run_layers(*lane_, batch, cache_.pages(), residual, tap, progress_);
  now_us = mark("layers", now_us);
  if (is_last() && comm_status().ok()) {
    draw(plan, residual);
    now_us = mark("head and draw", now_us);
  }
  residuals_->end_step(*lane_->queue);
  if (!is_last()) mark("send", now_us);
  if (is_first() && !is_last()) {
    token_return_->expect(*lane_->queue, plan.step, inputs_->draws(), slots_);
  }
  for (const DrawRow& row : inputs_->draws()) slots_.note_draw(row.slot, plan.step);
}

void StepExecutor::draw(const StepPlan& plan, Tensor residual) {
  const std::span<const DrawRow> draws = inputs_->draws();
  sampler_->draw(*lane_, residual, draws, slots_, result_.logprobs, progress_);
  if (!comm_status().ok()) return;
  token_return_->send(*lane_->queue, sampler_->ids());
  for (size_t i = 0; i < draws.size(); ++i) {
    const SlotId slot = draws[i].slot;
    const TokenId id = sampler_->ids()[i];
    slots_.take_id(slot, draws[i].generation, id);
    if (id < 0) {
      slots_.fail(slot,
                  concat("TRI-STEP-023: no token can be drawn at index ",
                         slots_[slot].num_emitted,
                         ": every logit is NaN or -inf; check the weights and logit_bias"));
    }
    if (slots_[slot].failed) continue;
    result_.slots.push_back(slot);
    result_.counts.push_back(1);
    result_.ids.push_back(id);
  }
  if (!score_rows_.empty()) {
    sampler_->score(*lane_, residual, score_rows_, result_.scores, progress_);
  }
  if (!plan.parts[0].probes.empty()) probe_logits(plan, residual);
}

void StepExecutor::probe_logits(const StepPlan& plan, Tensor residual) {
  std::vector<ProbeRequest> asked;
  std::vector<int32_t> rows;
  const int64_t last_layer = model_.config().num_layers;
  for (const ProbeRequest& probe : plan.parts[0].probes) {
    const int32_t row = inputs_->row_of(probe.slot, probe.position);
    if (probe.layer == -1) {
      asked.push_back(probe);
      rows.push_back(row);
    } else if (probe.layer == last_layer && comms_.tensor_index == 0) {
      std::vector<float> values(residual.columns);
      const Tensor normed(values.data(), DType::kFloat32, 1, residual.columns);
      model_.final_norm(*lane_, residual, std::span(&row, 1), normed);
      emit_probe(plan, probe, values);
    }
  }
  sampler_->probe(
      *lane_,
      residual,
      rows,
      [&](size_t i, std::span<const float> values) { emit_probe(plan, asked[i], values); },
      progress_);
}

void StepExecutor::emit_probe(const StepPlan& plan,
                              const ProbeRequest& request,
                              std::span<const float> values) {
  constexpr size_t kPiece = kMaxProbeBytes / sizeof(float);
  for (size_t offset = 0; offset < values.size(); offset += kPiece) {
    const auto piece = values.subspan(offset, std::min(kPiece, values.size() - offset));
    Probe probe{.epochs = plan.epochs,
                .step = plan.step,
                .slot = request.slot,
                .position = request.position,
                .layer = request.layer,
                .offset = static_cast<int64_t>(offset),
                .num_values = static_cast<int64_t>(values.size()),
                .values = {piece.begin(), piece.end()}};
    sink_.on_probe(probe);
  }
}

void StepExecutor::answer(const StepPlan& plan, TimeUs start_us) {
  result_.epochs = plan.epochs;
  result_.step = plan.step;
  result_.failures.assign(slots_.failures().begin(), slots_.failures().end());
  result_.waited_us = waited_us_;
  result_.compute_us = clock_.now_us() - start_us - waited_us_;
  sink_.on_result(result_);
}

Status StepExecutor::comm_status() const {
  for (const Comm* comm :
       {comms_.group.get(), comms_.tensor.get(), comms_.pipeline.get(), comms_.tokens.get()}) {
    RETURN_IF_ERROR(comm->status());
  }
  return ok_status();
}

TimeUs StepExecutor::mark(const char* name, TimeUs begin_us) {
  const TimeUs now_us = clock_.now_us();
  if (limits_.trace != nullptr) {
    limits_.trace->span(name, 0, begin_us, now_us, progress_.step.load(std::memory_order_relaxed));
  }
  return now_us;
}

void StepExecutor::set_deadline() {
  deadline_us_ = clock_.now_us() + limits_.step_timeout_us;
  // Waits along the stages last longer, so that the rank nearest to the trouble names it first.
  const TimeUs stages_us = deadline_us_ + limits_.step_timeout_us / 2;
  comms_.group->set_deadline(deadline_us_);
  comms_.tensor->set_deadline(deadline_us_);
  comms_.pipeline->set_deadline(stages_us);
  comms_.tokens->set_deadline(stages_us);
}

}  // namespace trireme

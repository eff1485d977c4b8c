#include "worker/step/step_results.h"

#include <atomic>

#include "base/check.h"

namespace trireme {
namespace {

constexpr int64_t kFlagBytes = sizeof(uint64_t);  // the count of posted steps, at an entry's end

}  // namespace

StatusOr<StepResults> StepResults::make(
    Backend& backend, const Sampler* sampler, int32_t max_slots, int32_t depth, uint64_t* step) {
  StepResults answers(backend, sampler);
  const int64_t draws = sampler == nullptr ? 0 : sampler->max_result_bytes();
  const int64_t entry_bytes = (draws + kFlagBytes - 1) / kFlagBytes * kFlagBytes + kFlagBytes;
  ASSIGN_OR_RETURN(answers.memory_, backend.allocate_shared(depth * entry_bytes, "the results"));
  answers.ring_ = {answers.memory_.data(), entry_bytes, depth, step};
  answers.pending_.resize(depth);
  for (PendingStep& pending : answers.pending_) pending.rows.reserve(max_slots);
  answers.result_.slots.reserve(max_slots);
  answers.result_.counts.reserve(max_slots);
  answers.result_.ids.reserve(max_slots);
  return answers;
}

std::byte* StepResults::entry(uint64_t posted) const {
  const auto index = static_cast<int64_t>((posted - 1) % static_cast<uint64_t>(ring_.depth));
  return ring_.entries + index * ring_.entry_bytes;
}

bool StepResults::oldest_is_done() const {
  const uint64_t wanted = pending_[oldest_].posted;
  if (wanted == 0) return true;
  std::byte* const flag = entry(wanted) + ring_.entry_bytes - kFlagBytes;
  const std::atomic_ref<uint64_t> posted(*reinterpret_cast<uint64_t*>(flag));
  return posted.load(std::memory_order_acquire) >= wanted;
}

PendingStep& StepResults::begin(const StepPlan& plan, TimeUs start_us, TimeUs deadline_us) {
  CHECK(!is_full());
  PendingStep& pending = pending_[(oldest_ + count_++) % pending_.size()];
  pending.epochs = plan.epochs;
  pending.step = plan.step;
  pending.posted = num_posted_;
  pending.num_by_shard = 0;
  pending.start_us = start_us;
  pending.waited_us = 0;
  pending.deadline_us = deadline_us;
  pending.rows.clear();
  pending.scores.clear();
  pending.failures.clear();
  return pending;
}

void StepResults::post(Queue& queue, const PendingStep& pending, bool has_draws) {
  const bool draws = sampler_ != nullptr && has_draws;
  const std::byte* const from = draws ? sampler_->results() : nullptr;
  backend_->post(queue, from, draws ? sampler_->result_bytes(pending.whole()) : 0, ring_);
}

void StepResults::answer(SlotTable& slots, ResultSink* sink, TimeUs now_us) {
  PendingStep& pending = pending_[oldest_];
  oldest_ = (oldest_ + 1) % pending_.size();
  --count_;
  result_.slots.clear();
  result_.counts.clear();
  result_.ids.clear();
  result_.logprobs.clear();
  if (sampler_ != nullptr && !pending.rows.empty()) take_draws(pending, slots);
  result_.failures.assign(pending.failures.begin(), pending.failures.end());
  result_.failures.insert(result_.failures.end(), slots.failures().begin(), slots.failures().end());
  slots.clear_failures();
  if (sink == nullptr) return;
  result_.scores.swap(pending.scores);
  result_.epochs = pending.epochs;
  result_.step = pending.step;
  result_.waited_us = pending.waited_us;
  result_.compute_us = now_us - pending.start_us - pending.waited_us;
  sink->on_result(result_);
}

void StepResults::take_draws(const PendingStep& pending, SlotTable& slots) {
  const std::span<const std::byte> posted(entry(pending.posted), ring_.entry_bytes);
  const std::span<const TokenId> ids(reinterpret_cast<const TokenId*>(posted.data()),
                                     pending.rows.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const DrawnRow& row = pending.rows[i];
    const Slot& slot = slots[row.slot];
    const bool is_owner = slot.open && slot.generation == row.generation;
    if (ids[i] < 0 && is_owner) {
      slots.fail(row.slot,
                 format_text("TRI-STEP-023: no token can be drawn at index {}: every logit is NaN "
                             "or -inf; check the weights and logit_bias",
                             row.index));
    }
    if (ids[i] < 0 || (is_owner && slot.failed)) continue;
    result_.slots.push_back(row.slot);
    result_.counts.push_back(1);
    result_.ids.push_back(ids[i]);
  }
  sampler_->read_logprobs(
      posted, ids.subspan(pending.num_by_shard), pending.whole(), result_.logprobs);
}

}  // namespace trireme

#include "worker/control/rank_life.h"

#include <utility>
#include <variant>

namespace trireme {

StatusOr<RankLife::Order> RankLife::on_frame(std::string_view frame) {
  RETURN_IF_ERROR(codec_.decode(frame, message_));
  Order order;
  if (const auto* fence = std::get_if<Fence>(&message_)) {
    order.fence = fence;  // of any epoch: it is addressed to this connection
  } else if (const auto* start = std::get_if<Start>(&message_)) {
    if (!(epochs_ < start->epochs) && !journal_id_.empty()) return order;
    begin(*start);
    order.start = *start;
  } else if (auto* plan = std::get_if<StepPlan>(&message_)) {
    if (plan->epochs != epochs_ || plan->step <= received_) return order;
    keep(*plan, frame);
    order.plan = plan;
  } else if (const auto* recall = std::get_if<RecallPlans>(&message_)) {
    if (recall->epochs != epochs_ || is_attached_) return order;
    recalled_.clear();
    for (const Kept& kept : kept_) {
      if (kept.step >= recall->first_step && kept.step <= recall->last_step) {
        recalled_.push_back(kept);
      }
    }
  }
  return order;
}

void RankLife::begin(const Start& start) {
  epochs_ = start.epochs;
  journal_id_ = start.journal_id;
  is_attached_ = true;
  has_started_ = false;
  received_ = 0;
  kept_.clear();
  recalled_.clear();
}

void RankLife::keep(const StepPlan& plan, std::string_view frame) {
  received_ = plan.step;
  while (!kept_.empty() && kept_.front().step <= plan.retired_through) kept_.pop_front();
  if (journal_id_.empty()) return;
  if (kept_.size() == kMaxKeptPlans) kept_.pop_front();
  kept_.push_back({plan.step, std::string(frame)});
}

bool RankLife::on_lost() {
  if (has_lived() && journal_id_.empty()) return false;
  is_attached_ = !has_lived();
  recalled_.clear();
  return true;
}

std::optional<RankHello> RankLife::opening(int64_t step_completed) const {
  std::optional<RankHello> hello = hello_;
  if (hello && has_lived()) {
    hello->previous_life = {journal_id_, epochs_, received_, completed(step_completed)};
  }
  return hello;
}

bool RankLife::next_kept_plan(std::string& frame) {
  if (recalled_.empty()) return false;
  codec_.encode(KeptPlan{epochs_, recalled_.front().step, std::move(recalled_.front().frame)},
                frame);
  recalled_.pop_front();
  return true;
}

}  // namespace trireme

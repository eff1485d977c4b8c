#include "clients/gateway/answer_events.h"

#include <algorithm>

#include "clients/gateway/resume_request.h"

namespace trireme::gateway {

void AnswerEvents::trace(const SavedForm& form, std::optional<EventPosition> after) {
  writer_ = make_writer(form);
  num_choices_ = form.options.num_choices;
  trail_.emplace(held_bytes_.size() * static_cast<size_t>(num_choices_), std::move(after));
}

void AnswerEvents::write_start(std::span<const door::Accepted> accepted, std::string& out) {
  std::string events;
  for (size_t i = 0; i < accepted.size(); ++i) {
    writer_->on_accepted(static_cast<int>(i), accepted[i], events);
  }
  if (trail_) trail_->pass(StreamWrite(), events);
  out += events;
}

// The event in the series of writes that ids tell of.
std::optional<StreamWrite> AnswerEvents::write_of(int prompt, const ClientEvent& event) const {
  const int32_t first = prompt * num_choices_;
  if (const auto* piece = std::get_if<door::Piece>(&event)) {
    const auto num_ids = static_cast<int32_t>(piece->token_ids.size());
    return StreamWrite{first + piece->choice, piece->first_index + num_ids};
  }
  if (const auto* finished = std::get_if<door::Finished>(&event)) {
    return StreamWrite{first + finished->choice, door::kEndedIndex};
  }
  return std::nullopt;
}

// The messages of a prompt keep their order.
EventTrail::Due AnswerEvents::due(int prompt, const StreamWrite& write) const {
  const bool waits =
      std::ranges::any_of(held_, [prompt](const auto& held) { return held.first == prompt; });
  return waits ? EventTrail::Due::kLater : trail_->due(write);
}

std::optional<ApiError> AnswerEvents::write(int prompt, ClientEvent event, std::string& out) {
  auto* const finished = std::get_if<door::Finished>(&event);
  const bool is_whole = finished == nullptr || (finished->reason != door::FinishReason::kFailed &&
                                                finished->reason != door::FinishReason::kCancelled);
  if (!is_whole) return from_finished(*finished);
  const std::optional<StreamWrite> write = trail_ ? write_of(prompt, event) : std::nullopt;
  if (write) {
    const EventTrail::Due when = due(prompt, *write);
    if (when == EventTrail::Due::kNever) return from_status(no_such_event());
    if (when == EventTrail::Due::kLater) {
      hold(prompt, std::move(event));
      return std::nullopt;
    }
  }
  const auto num_before = write ? trail_->events_before(*write) : std::nullopt;
  if (num_before) writer_->count_events(*num_before);
  std::string events;
  if (auto* piece = std::get_if<door::Piece>(&event)) {
    num_tokens_ += std::ssize(piece->token_ids);
    writer_->on_piece(prompt, std::move(*piece), events);
  } else if (auto* logprobs = std::get_if<door::PromptLogprobs>(&event)) {
    writer_->on_prompt_logprobs(prompt, std::move(*logprobs), events);
  } else if (finished != nullptr) {
    writer_->on_finished(prompt, std::move(*finished), events);
  }
  if (write) trail_->pass(*write, events);
  out += events;
  return std::nullopt;
}

void AnswerEvents::hold(int prompt, ClientEvent event) {
  held_bytes_[static_cast<size_t>(prompt)] += credit_cost(event);
  held_.emplace_back(prompt, std::move(event));
}

std::optional<ApiError> AnswerEvents::write_held(std::string& out) {
  size_t num_before = held_.size() + 1;
  while (!held_.empty() && held_.size() < num_before) {
    num_before = held_.size();
    for (auto& [prompt, event] : std::exchange(held_, {})) {
      held_bytes_[static_cast<size_t>(prompt)] -= credit_cost(event);
      if (auto error = write(prompt, std::move(event), out)) return error;
    }
  }
  return std::nullopt;
}

}  // namespace trireme::gateway

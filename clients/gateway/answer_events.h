// From the door's messages to the events of one answer. Of an answer that can be resumed, events
// have ids, a message that is not due is held, and events that the client has are left out. Pure;
// one per answer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "clients/cpp/client_events.h"
#include "clients/gateway/api/answer_writer.h"
#include "clients/gateway/api/answers/saved_form.h"
#include "clients/gateway/api/api_error.h"
#include "clients/gateway/event_trail.h"

namespace trireme::gateway {

class AnswerEvents {
 public:
  // `writer` null: trace() comes before anything is written.
  AnswerEvents(size_t num_prompts, std::unique_ptr<AnswerWriter> writer)
      : held_bytes_(num_prompts, 0), writer_(std::move(writer)) {}

  // The answer has this form and can be resumed. `after`: the last event that the client has.
  void trace(const SavedForm& form, std::optional<EventPosition> after);
  bool is_traced() const { return trail_.has_value(); }
  bool has_caught_up() const { return !trail_ || trail_->has_caught_up(); }

  // Each appends to `out`.
  void write_start(std::span<const door::Accepted> accepted, std::string& out);
  // A piece, prompt log-probabilities, or the end of a choice. An error: the choice has failed, or
  // the answer does not have the event that the client named (TRI-HTTP-034).
  std::optional<ApiError> write(int prompt, ClientEvent event, std::string& out);
  // The messages that were held, as far as they are due now.
  std::optional<ApiError> write_held(std::string& out);

  void hold(int prompt, ClientEvent event);
  // The credit of messages that are held.
  int64_t held_bytes(int prompt) const { return held_bytes_[static_cast<size_t>(prompt)]; }

  int64_t num_tokens() const { return num_tokens_; }
  AnswerWriter& writer() { return *writer_; }

 private:
  std::optional<StreamWrite> write_of(int prompt, const ClientEvent& event) const;
  EventTrail::Due due(int prompt, const StreamWrite& write) const;

  std::vector<std::pair<int, ClientEvent>> held_;
  std::vector<int64_t> held_bytes_;  // per prompt
  std::unique_ptr<AnswerWriter> writer_;
  std::optional<EventTrail> trail_;
  int32_t num_choices_ = 1;  // per prompt, where there is a trail
  int64_t num_tokens_ = 0;
};

}  // namespace trireme::gateway

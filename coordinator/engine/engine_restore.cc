#include <algorithm>
#include <utility>

#include "coordinator/engine/engine_state.h"

namespace trireme {

namespace {

// A client that lost the earlier coordinator has so long to be back, whatever grace it asked for.
constexpr TimeUs kBackUs = 15'000'000;

}  // namespace

// Requests wait in the order of their acceptance; answers that are over are kept.
void Engine::State::handle(Turn& turn, event::Restored& event) {
  for (RestoredRequest& restored : event.requests) restore(turn, restored);
  forget_excess(turn);
}

void Engine::State::restore(const Turn& turn, RestoredRequest& restored) {
  record::Accepted& accepted = restored.accepted;
  Request& request = add_request(
      accepted.id, accepted.seed, std::move(accepted.submit), accepted.accepted_us, true);
  request.accepted_durable = true;
  request.compatibility = std::move(restored.compatibility);
  request.bound_recorded = !request.compatibility.empty();
  const size_t choices = std::min(request.sequences.size(), restored.choices.size());
  for (size_t choice = 0; choice < choices; ++choice) {
    restore_choice(turn, *request.sequences[choice], restored.choices[choice]);
  }
  request.crashes = restored.crashes;
  set_apart(request);
  await_reader(turn, request, std::max(kBackUs, request.submit.disconnect_grace_us));
  note_unread(turn, request);
  settle(request);
}

// Text, parts and stop strings are found anew from the ids. A choice whose ids end it is over, also
// if its end was not recorded.
void Engine::State::restore_choice(const Turn& turn, Sequence& sequence, RestoredChoice& restored) {
  Answer& answer = sequence.answer;
  answer.logprobs = std::move(restored.logprobs);
  Ending ending;
  bool is_over = false;
  for (const TokenId id : restored.ids) {
    if (is_over || ending.is_over) break;
    sequence.ids.push_back(id);
    ending = ending_of(sequence);
    is_over = add_text(sequence, id, ending.last_id_is_silent);
  }
  answer.durable = answer.num_ids();
  if (!restored.ended) {
    if (is_over || ending.is_over) finish_text(turn, sequence, is_over, ending);
    return;
  }
  const record::Ended& ended = *restored.ended;
  effect::Finish details;
  const bool was_whole =
      ended.reason != FinishReason::kCancelled && ended.reason != FinishReason::kError;
  if (sequence.answer_text && was_whole) {
    if (!is_over) sequence.answer_text->finish(!ended.stop_string.empty());
    details.text = sequence.answer_text->take_text();
    details.parts = sequence.answer_text->take_parts();
  }
  details.reason = ended.reason;
  details.stop_string = ended.stop_string;
  details.stop_token = ended.stop_token;
  details.error = ended.error;
  details.cached_tokens = ended.cached_tokens;
  details.invariant = ended.invariant;
  end_choice(sequence, std::move(details), ended.ended_us);
  answer.ending_durable = true;
}

}  // namespace trireme

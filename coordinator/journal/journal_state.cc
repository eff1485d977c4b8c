#include "coordinator/journal/journal_state.h"

#include <algorithm>
#include <utility>

namespace trireme::journal {
namespace {

int64_t num_logprobs(const std::vector<LogprobEntry>& entries) {
  int64_t sum = 0;
  for (const LogprobEntry& entry : entries) sum += 1 + std::ssize(entry.top);
  return sum;
}

Status damaged(RequestNumber number, const char* problem) {
  return invalid("TRI-JRN-001", "a record of request number {} {}", number, problem);
}

}  // namespace

Status JournalState::apply(const Entry& entry, const Place& place) {
  return std::visit([&](const auto& value) { return enter(value, place); }, entry);
}

void JournalState::note_gap() {
  had_gap_ = true;
  for (const auto& request : requests_) {
    if (request != nullptr && !request->is_over()) request->stale = true;
  }
}

std::vector<RequestId> JournalState::end_gap() {
  std::vector<RequestId> stale;
  for (const auto& request : requests_) {
    if (request == nullptr || !request->stale) continue;
    request->stale = false;
    stale.push_back(request->state.id);
  }
  had_gap_ = false;
  return stale;
}

const JournalState::Request* JournalState::find(RequestNumber number) const {
  return number < requests_.size() ? requests_[number].get() : nullptr;
}

JournalState::Request* JournalState::slot(RequestNumber number) {
  return number < requests_.size() ? requests_[number].get() : nullptr;
}

void JournalState::forget(RequestNumber number) {
  Request* request = slot(number);
  if (request == nullptr) return;
  for (const RestoredChoice& choice : request->state.choices) {
    num_ids_ -= std::ssize(choice.ids);
    num_logprobs_ -= num_logprobs(choice.logprobs);
  }
  requests_[number].reset();
  --num_requests_;
}

void JournalState::move_accepted(RequestNumber number, const Place& place) {
  requests_[number]->state.accepted_at = place;
}

void JournalState::move_answer(RequestNumber number, const Place& place) {
  requests_[number]->state.answer_at = place;
}

int64_t JournalState::snapshot_bytes() const {
  constexpr int64_t kRequestBytes = 512;  // with its places, ends and compatibility
  constexpr int64_t kIdBytes = 5;
  constexpr int64_t kLogprobBytes = 15;
  return num_requests_ * kRequestBytes + num_ids_ * kIdBytes + num_logprobs_ * kLogprobBytes;
}

std::vector<RequestNumber> JournalState::in_order() const {
  std::vector<RequestNumber> numbers;
  for (RequestNumber number = 0; number < end(); ++number) {
    if (requests_[number] != nullptr) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end(), [this](RequestNumber a, RequestNumber b) {
    return requests_[a]->state.order < requests_[b]->state.order;
  });
  return numbers;
}

Status JournalState::unknown(RequestNumber number) const {
  return had_gap_ ? ok_status() : damaged(number, "stands where no request has it");
}

Status JournalState::create(RequestNumber number, RequestState state) {
  if (number >= kMaxRequests) return damaged(number, "has a number out of range");
  if (number >= requests_.size()) requests_.resize(number + 1);
  Request* old = requests_[number].get();
  // Behind a gap its Forgotten may be missing.
  if (old != nullptr && !had_gap_) return damaged(number, "gives the number of another request");
  forget(number);
  auto request = std::make_unique<Request>();
  next_order_ = std::max(next_order_, state.order + 1);
  for (RestoredChoice& choice : state.choices) {
    if (choice.ended) choice.ended->id = state.id;
    request->num_ended += choice.ended.has_value();
    num_ids_ += std::ssize(choice.ids);
    num_logprobs_ += num_logprobs(choice.logprobs);
  }
  request->state = std::move(state);
  requests_[number] = std::move(request);
  ++num_requests_;
  return ok_status();
}

Status JournalState::enter(const Life& life, const Place&) {
  epoch_ = std::max(epoch_, life.epoch);
  return ok_status();
}

Status JournalState::enter(const Accepted& accepted, const Place& place) {
  RequestState state;
  state.number = accepted.number;
  state.id = accepted.request.id;
  state.order = next_order_;
  state.accepted_at = place;
  state.choices.resize(static_cast<size_t>(accepted.request.submit.params.num_choices));
  return create(accepted.number, std::move(state));
}

Status JournalState::enter(const RequestState& state, const Place&) {
  return create(state.number, state);
}

Status JournalState::enter(const Bound& bound, const Place&) {
  Request* request = slot(bound.number);
  if (request == nullptr) return unknown(bound.number);
  if (!request->stale) request->state.compatibility = bound.compatibility;
  return ok_status();
}

Status JournalState::enter(const Tokens& tokens, const Place&) {
  auto id = tokens.ids.begin();
  auto logprob = tokens.logprobs.begin();
  auto scored = tokens.scored.begin();
  for (size_t run = 0; run < tokens.numbers.size(); ++run) {
    const int32_t count = tokens.counts.empty() ? 1 : tokens.counts[run];
    const auto ids_begin = std::exchange(id, id + count);
    const bool is_scored = scored != tokens.scored.end() && *scored == static_cast<int32_t>(run);
    const auto logprobs_begin = std::exchange(logprob, is_scored ? logprob + count : logprob);
    scored += is_scored;
    const RequestNumber number = tokens.numbers[run];
    Request* request = slot(number);
    if (request == nullptr) {
      RETURN_IF_ERROR(unknown(number));
      continue;
    }
    if (request->stale) continue;
    const size_t choice = tokens.choices.empty() ? 0 : static_cast<size_t>(tokens.choices[run]);
    if (choice >= request->state.choices.size()) return damaged(number, "has no such choice");
    RestoredChoice& to = request->state.choices[choice];
    if (to.ended) return damaged(number, "has ids behind the end of their choice");
    if (to.logprobs.empty() != (!is_scored || to.ids.empty())) {
      return damaged(number, "has log-probabilities of some ids only");
    }
    to.ids.insert(to.ids.end(), ids_begin, id);
    num_ids_ += count;
    if (is_scored) {
      to.logprobs.insert(to.logprobs.end(), logprobs_begin, logprob);
      for (auto entry = logprobs_begin; entry != logprob; ++entry) {
        num_logprobs_ += 1 + std::ssize(entry->top);
      }
    }
  }
  return ok_status();
}

Status JournalState::enter(const Ended& ended, const Place&) {
  Request* request = slot(ended.number);
  if (request == nullptr) return unknown(ended.number);
  if (request->stale) return ok_status();
  const auto index = static_cast<size_t>(ended.end.choice);
  if (index >= request->state.choices.size()) return damaged(ended.number, "has no such choice");
  RestoredChoice& choice = request->state.choices[index];
  if (choice.ended) return damaged(ended.number, "ends a choice twice");
  const auto num_ids = static_cast<size_t>(ended.end.num_ids);
  if (num_ids > choice.ids.size()) return damaged(ended.number, "ends behind the last id");
  num_ids_ -= std::ssize(choice.ids) - ended.end.num_ids;
  choice.ids.resize(num_ids);
  if (choice.logprobs.size() > num_ids) {
    num_logprobs_ -= num_logprobs({choice.logprobs.begin() + ended.end.num_ids,  //
                                   choice.logprobs.end()});
    choice.logprobs.resize(num_ids);
  }
  choice.ended = ended.end;
  choice.ended->id = request->state.id;
  ++request->num_ended;
  return ok_status();
}

Status JournalState::enter(const Suspect& suspect, const Place&) {
  Request* request = slot(suspect.number);
  if (request == nullptr) return unknown(suspect.number);
  if (!request->stale) request->state.crashes = suspect.crashes;
  return ok_status();
}

Status JournalState::enter(const Forgotten& forgotten, const Place&) {
  if (slot(forgotten.number) == nullptr) return unknown(forgotten.number);
  forget(forgotten.number);
  return ok_status();
}

Status JournalState::enter(const Answer& answer, const Place& place) {
  Request* request = slot(answer.number);
  if (request == nullptr) return unknown(answer.number);
  if (request->state.id != answer.id) {
    return had_gap_ ? ok_status() : damaged(answer.number, "has the id of another request");
  }
  // Whole by itself: it counts behind a gap too.
  for (const RestoredChoice& choice : request->state.choices) {
    num_ids_ -= std::ssize(choice.ids);
    num_logprobs_ -= num_logprobs(choice.logprobs);
  }
  request->state.choices.clear();
  request->state.answer_at = place;
  request->stale = false;
  return ok_status();
}

}  // namespace trireme::journal

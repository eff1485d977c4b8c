#include <algorithm>

#include "coordinator/engine/engine_state.h"

namespace trireme {

namespace {

constexpr int64_t kMinProgressUs = 100'000;  // however short an interval a client wants
constexpr int32_t kMaxReports = 256;         // per turn
constexpr TimeUs kStandstillUs = 5'000'000;
constexpr TimeUs kFreshTokenUs = 10'000'000;  // of an idle group, which is tested more often

int64_t interval_of(const Request& request) {
  return std::max(request.submit.progress_interval_us, kMinProgressUs);
}

}  // namespace

// From here on, or from the next message to the client.
void Engine::State::await_progress(const Turn& turn, Request& request) {
  request.last_sent_us = turn.now_us;
  progress_due_.erase({request.progress_due_us, request.id});
  request.progress_due_us = 0;
  if (request.submit.progress_interval_us <= 0 || request.num_unfinished == 0) return;
  request.progress_due_us = turn.now_us + interval_of(request);
  progress_due_.emplace(request.progress_due_us, request.id);
}

// A request is looked at once per interval: what was sent meanwhile only moves its next time. What
// is above the limit of a turn stays due, so that plans leave in between.
void Engine::State::report_progress(Turn& turn) {
  if (progress_due_.empty() || progress_due_.begin()->first > turn.now_us) return;
  const Places places = queue_places();
  for (int32_t looked_at = 0; looked_at < kMaxReports; ++looked_at) {
    if (progress_due_.empty() || progress_due_.begin()->first > turn.now_us) return;
    const RequestId id = progress_due_.begin()->second;
    progress_due_.erase(progress_due_.begin());
    Request& request = *requests_.at(id);
    request.progress_due_us = 0;
    if (!request.stream || request.num_unfinished == 0) continue;
    TimeUs due = request.last_sent_us + interval_of(request);
    if (due <= turn.now_us) {
      turn.effects.push_back(progress_of(request, places));
      request.last_sent_us = turn.now_us;
      due = turn.now_us + interval_of(request);
    }
    request.progress_due_us = due;
    progress_due_.emplace(due, id);
  }
}

// The place of every waiting request, from 1 on.
Engine::State::Places Engine::State::queue_places() const {
  Places places;
  int32_t place = 0;
  for (const Sequence* sequence : waiting_) {
    if (places.emplace(sequence->request, place + 1).second) ++place;
  }
  return places;
}

effect::Progress Engine::State::progress_of(const Request& request, const Places& places) const {
  effect::Progress progress;
  progress.connection = request.stream->connection;
  progress.client_tag = request.stream->tag;
  progress.prompt_tokens = request.num_prompt;
  bool runs = false;
  for (const auto& sequence : request.sequences) {
    runs = runs || sequence->slot >= 0;
    progress.prompt_done = std::max(progress.prompt_done, sequence->computed);
  }
  progress.prompt_done = std::min(progress.prompt_done, request.num_prompt);
  if (runs) return progress;
  const auto place = places.find(&request);
  if (place != places.end()) progress.queue_position = place->second;
  return progress;
}

// Why no token can be had from the group now; "": it can.
std::string Engine::State::fault_of(const Group& group, TimeUs now_us, TimeUs heard_us) const {
  if (!group.in_flight.empty()) {
    const TimeUs still_us = now_us - std::max(group.moved_us, heard_us);
    if (still_us <= kStandstillUs) return {};
    return format_text("has made no progress for {} ms", still_us / 1000);
  }
  if (options_.canary_us == 0 || !can_take_canary(group)) return {};
  if (now_us - group.token_us <= kFreshTokenUs) return {};
  if (group.token_us == 0) return "has drawn no token yet";
  return format_text("has drawn no token for {} ms", (now_us - group.token_us) / 1000);
}

EngineHealth Engine::State::health(TimeUs now_us, const std::map<GroupId, TimeUs>& heard_us) const {
  EngineHealth health;
  health.waiting = static_cast<int64_t>(waiting_.size());
  if (last_token_us_ != 0) {
    health.token_age_ms = std::max<int64_t>(1, (now_us - last_token_us_) / 1000);
  }
  if (groups_.empty()) health.reason = "no group is ready";
  std::string fault;
  bool one_is_good = false;
  for (const auto& [id, group] : groups_) {
    const auto heard = heard_us.find(id);
    const std::string its_fault =
        fault_of(group, now_us, heard == heard_us.end() ? 0 : heard->second);
    one_is_good = one_is_good || its_fault.empty();
    if (!its_fault.empty()) fault = format_text("group {} {}", id, its_fault);
  }
  if (!one_is_good && !groups_.empty()) health.reason = fault;
  return health;
}

}  // namespace trireme

#include "coordinator/doors/ranks/worker_set.h"

#include <algorithm>

#include "coordinator/doors/ranks/group_agreement.h"
#include "coordinator/doors/ranks/rejoin.h"

namespace trireme {
namespace {

// After a standstill the I/O thread needs some time to report the connections that have ended.
constexpr TimeUs kWakingUs = 1'000'000;
// A rank that lives is heard between two standstills; one more for a message that is just late.
constexpr int kForgivenStandstills = 2;

bool has_tokens(const StepPlan& plan) {
  return std::ranges::any_of(plan.parts, [](const StepPart& part) {
    return !part.decodes.empty() || !part.chunks.empty();
  });
}

}  // namespace

WorkerSet::WorkerSet(const WorkerSetOptions& options, PeerSender* sender)
    : options_(options), sender_(sender), groups_(static_cast<size_t>(options.num_groups)) {
  for (size_t i = 0; i < groups_.size(); ++i) groups_[i].id = static_cast<GroupId>(i);
}

void WorkerSet::on_frame(PeerId peer, std::string_view frame, TimeUs now_us, WorkerOutput& output) {
  notice_standstill(now_us);
  Turn turn{now_us, output};
  const Status status = codec_.decode(frame, message_);
  if (!status.ok()) {
    if (Group* group = group_of(peer)) lose(turn, *group, seats_[peer].rank, status);
    return;
  }
  const auto seat = seats_.find(peer);
  const auto* const beat = std::get_if<Heartbeat>(&message_);
  // A heartbeat with epochs on a new connection: the rank was stopped, its group has ended since.
  const bool has_lived = beat != nullptr && beat->epochs.coordinator != 0;
  if (seat == seats_.end() ? has_lived : seat->second.group < 0) {
    seats_[peer] = {};
    fence(peer, 0, "TRI-GRP-041: the group of this rank has ended");
    return;
  }
  std::visit([&](auto& message) { handle(turn, peer, message); }, message_);
}

WorkerSet::Group* WorkerSet::group_of(PeerId peer) {
  const auto seat = seats_.find(peer);
  if (seat == seats_.end() || seat->second.group < 0) return nullptr;
  return &groups_[static_cast<size_t>(seat->second.group)];
}

WorkerSet::Rank* WorkerSet::rank_of(PeerId peer) {
  Group* const group = group_of(peer);
  return group == nullptr ? nullptr : &group->ranks.at(seats_.at(peer).rank);
}

bool WorkerSet::is_current(const Group& group, const Epochs& epochs) const {
  return epochs.coordinator == options_.coordinator_epoch && epochs.group == group.epoch &&
         (group.state == State::kStarting || group.state == State::kReady);
}

Status WorkerSet::may_sit(const Introduction& who, bool rejoins) const {
  std::vector<Introduction> seated;
  if (who.group >= 0 && who.group < options_.num_groups) {
    const Group& group = groups_[static_cast<size_t>(who.group)];
    for (const auto& [index, rank] : group.ranks) seated.push_back(rank.who);
  }
  RETURN_IF_ERROR(check_seat(who, options_.num_groups, seated));
  const State state = groups_[static_cast<size_t>(who.group)].state;
  if (state == State::kAbsent || (state == State::kRejoining) == rejoins) return ok_status();
  return unavailable("TRI-GRP-055",
                     "group {} has begun with ranks that {} an earlier coordinator; end its other "
                     "job first",
                     who.group,
                     rejoins ? "do not come from" : "come from");
}

// One that rejoins leaves as the rest of its group does, whose end was told or is found by its
// process: it says nothing of the ranks that have the seats now.
void WorkerSet::refuse_seat(
    Turn& turn, PeerId peer, const Introduction& who, bool rejoins, const Status& cause) {
  seats_[peer] = {};
  fence(peer, 0, message_of(cause));
  if (rejoins) return;
  turn.output.notices.push_back(
      notice::GroupLost{who.group, 0, who.rank, who.host, "introduction", cause});
}

WorkerSet::Rank* WorkerSet::seat(Turn& turn, PeerId peer, const Introduction& who, bool rejoins) {
  if (Rank* rank = rank_of(peer)) return rank;
  if (const Status status = may_sit(who, rejoins); !status.ok()) {
    refuse_seat(turn, peer, who, rejoins, status);
    return nullptr;
  }
  Group& group = groups_[static_cast<size_t>(who.group)];
  if (group.state == State::kAbsent) {
    group.state = rejoins ? State::kRejoining : State::kGathering;
    group.since_us = turn.now_us;
    group.tp = who.tp;
    group.pp = who.pp;
    group.recalled_at = -1;
  }
  seats_[peer] = {who.group, who.rank};
  Rank& rank = group.ranks[who.rank];
  rank.peer = peer;
  rank.who = who;
  rank.progress_us = turn.now_us;
  hear(rank, turn.now_us);
  turn.output.notices.push_back(notice::RankSeen{who.group, who.rank, who.host, who.pid});
  return &rank;
}

void WorkerSet::handle(Turn& turn, PeerId peer, const Heartbeat& beat) {
  Rank* const rank =
      seat(turn, peer, {beat.group, beat.rank, beat.tp, beat.pp, beat.host, beat.pid}, false);
  if (rank == nullptr) return;
  Group& group = *group_of(peer);
  hear(*rank, turn.now_us);
  if (beat.progress != rank->progress || beat.phase != rank->phase) {
    rank->progress = beat.progress;
    rank->phase = beat.phase;
    rank->progress_us = turn.now_us;
    rank->told_us = turn.now_us;
  }
  const bool loaded_more = beat.load_bytes != rank->load_bytes;
  rank->load_bytes = beat.load_bytes;
  rank->load_total_bytes = beat.load_total_bytes;
  if (group.state == State::kRejoining && rank->hello) {
    PreviousLife& life = *rank->hello->previous_life;
    if (beat.epochs == life.epochs) life.step_completed = beat.step_completed;
    start_if_caught_up(turn, group);
    return;
  }
  if (!loaded_more || group.state != State::kGathering) return;
  notice::RankLoading notice{group.id, 0, 0};
  for (const auto& [index, each] : group.ranks) {
    notice.loaded_bytes += each.load_bytes;
    notice.total_bytes += each.load_total_bytes;
  }
  turn.output.notices.push_back(notice);
}

void WorkerSet::handle(Turn& turn, PeerId peer, const RankHello& hello) {
  const Introduction who{hello.group, hello.rank, hello.tp, hello.pp, hello.host, hello.pid};
  const bool rejoins = hello.previous_life.has_value();
  if (rejoins) {
    const Status status =
        check_previous_life(*hello.previous_life, options_.journal_id, options_.coordinator_epoch);
    if (!status.ok()) {
      refuse_seat(turn, peer, who, true, status);
      return;
    }
  }
  Rank* const rank = seat(turn, peer, who, rejoins);
  if (rank == nullptr) return;
  Group& group = *group_of(peer);
  const bool is_awaited = group.state == State::kGathering || group.state == State::kRejoining;
  if (!is_awaited || rank->hello) return;  // only the first HELLO counts
  if (rejoins != (group.state == State::kRejoining)) {
    lose(turn, group, hello.rank, unavailable("TRI-GRP-055", "it has lived, and others have not"));
    return;
  }
  rank->hello = hello;
  rank->phase = rejoins ? rank->phase : Phase::kWaitStart;
  rank->progress_us = turn.now_us;
  hear(*rank, turn.now_us);
  turn.output.notices.push_back(notice::RankLoaded{hello});
  if (rejoins) {
    rejoin(turn, group);
  } else {
    start_if_complete(turn, group);
  }
}

std::vector<const RankHello*> WorkerSet::hellos_of(const Group& group) {
  std::vector<const RankHello*> hellos;
  for (const auto& [index, rank] : group.ranks) {
    if (rank.hello) hellos.push_back(&*rank.hello);
  }
  return hellos;
}

void WorkerSet::start_if_complete(Turn& turn, Group& group) {
  const std::vector<const RankHello*> hellos = hellos_of(group);
  if (const Status status = check_agreement(hellos, options_.fingerprint); !status.ok()) {
    lose(turn, group, -1, status);
    return;
  }
  if (static_cast<int32_t>(hellos.size()) == group.tp * group.pp) start(turn, group, hellos);
}

void WorkerSet::start(Turn& turn, Group& group, const std::vector<const RankHello*>& hellos) {
  group.shape = shape_of(hellos);
  group.shape.group = group.id;
  group.shape.epoch = ++group.epoch;
  group.state = State::kStarting;
  group.since_us = turn.now_us;
  group.plans.clear();
  group.retired = 0;
  group.steps_before = group.steps;
  codec_.encode(
      Start{{options_.coordinator_epoch, group.epoch}, group.shape.num_pages, options_.journal_id},
      frame_);
  for (auto& [index, rank] : group.ranks) {
    rank.progress_us = turn.now_us;
    if (sender_->send(rank.peer, frame_) == SendOutcome::kSent) continue;
    const Status cause = unavailable("TRI-GRP-049", "START could not be sent to rank {}", index);
    lose(turn, group, to_blame(index, turn.now_us), cause);
    return;
  }
}

void WorkerSet::handle(Turn& turn, PeerId peer, const RankStarted& started) {
  Group* const group = group_of(peer);
  if (group == nullptr || !is_current(*group, started.epochs)) return;
  if (group->state != State::kStarting) return;
  rank_of(peer)->started = true;
  rank_of(peer)->phase = Phase::kIdle;
  const bool all = std::all_of(group->ranks.begin(), group->ranks.end(), [](const auto& entry) {
    return entry.second.started;
  });
  if (!all) return;
  group->state = State::kReady;
  group->since_us = turn.now_us;
  notice::GroupReady notice;
  notice.shape = group->shape;
  notice.tp = group->tp;
  notice.pp = group->pp;
  notice.hello = *group->ranks.at(0).hello;
  notice.asked_model_len = notice.hello.max_model_len;
  turn.output.events.push_back(to_event(notice));
  turn.output.notices.push_back(std::move(notice));
}

void WorkerSet::handle(Turn& turn, PeerId peer, StepResult& result) {
  Group* const group = group_of(peer);
  if (group == nullptr || !is_current(*group, result.epochs)) return;
  hear(*rank_of(peer), turn.now_us);
  const int32_t answering_rank = (group->pp - 1) * group->tp;
  if (seats_.at(peer).rank != answering_rank) return;
  if (group->plans.empty() || group->plans.front().step != result.step) return;
  // A step with tokens needs all ranks: they have received its plan, and those before it.
  if (group->plans.front().has_tokens) group->retired = result.step;
  if (!group->plans.front().is_canary) ++group->steps;
  group->plans.pop_front();
  turn.output.events.push_back(event::StepDone{group->id, std::move(result)});
}

void WorkerSet::handle(Turn& turn, PeerId peer, Probe& probe) {
  Group* const group = group_of(peer);
  if (group == nullptr || !is_current(*group, probe.epochs)) return;
  turn.output.events.push_back(event::ProbeArrived{group->id, std::move(probe)});
}

void WorkerSet::handle(Turn& turn, PeerId peer, const Goodbye& goodbye) {
  Group* group = group_of(peer);
  const Status cause = status_from_wire("TRI-GRP-046", goodbye.cause);
  if (group != nullptr) {
    lose(turn, *group, seats_.at(peer).rank, cause, &goodbye);
    return;
  }
  // It failed before it had a seat.
  turn.output.notices.push_back(notice::GroupLost{
      goodbye.group, 0, goodbye.rank, goodbye.host, "starting", cause, false, goodbye.memory});
}

void WorkerSet::on_gone(PeerId peer, TimeUs now_us, WorkerOutput& output) {
  notice_standstill(now_us);
  const auto seat = seats_.find(peer);
  if (seat == seats_.end()) return;
  Turn turn{now_us, output};
  if (Group* group = group_of(peer)) {
    const int32_t rank = seat->second.rank;
    const Status cause = connection_ended(*group, rank, now_us);
    lose(turn, *group, to_blame(rank, now_us), cause);
  }
  seats_.erase(peer);
}

int32_t WorkerSet::to_blame(int32_t rank, TimeUs now_us) const {
  return stood_us_ > 0 && now_us - woke_us_ <= kWakingUs ? -1 : rank;
}

// While this process stood still, one rank's end has ended others: which came first is unknown.
Status WorkerSet::connection_ended(const Group& group, int32_t rank, TimeUs now_us) const {
  if (to_blame(rank, now_us) == rank) {
    return unavailable("TRI-GRP-041", "its connection ended (the process died or its host left)");
  }
  return unavailable("TRI-GRP-041",
                     "the connection of rank {} on {} ended while the coordinator stood still for "
                     "{:.1f} s (it was stopped, or its machine slept)",
                     rank,
                     group.ranks.at(rank).who.host,
                     static_cast<double>(stood_us_) * 1e-6);
}

// Ends the group: every rank gets a Fence; later messages of this epoch are dropped.
void WorkerSet::lose(
    Turn& turn, Group& group, int32_t rank_index, const Status& cause, const Goodbye* goodbye) {
  notice::GroupLost notice;
  notice.group = group.id;
  notice.epoch = group.epoch;
  notice.rank = rank_index;
  notice.was_ready = group.state == State::kReady;
  if (goodbye != nullptr) {
    notice.memory = goodbye->memory;
    notice.crashed_step = goodbye->step;
  }
  notice.steps = group.steps - group.steps_before;
  const auto found = group.ranks.find(rank_index);
  std::string where = format_text("group {}", group.id);
  if (found != group.ranks.end()) {
    notice.host = found->second.who.host;
    notice.phase = std::string(name_of(found->second.phase));
    where = format_text(
        "rank {} of group {} on {}, {}", rank_index, group.id, notice.host, notice.phase);
  }
  const std::string id = error_id(cause);
  notice.cause = status_from_wire(id.empty() ? "TRI-GRP-046" : id,
                                  format_text("{}: {}", where, message_without_id(cause)));
  group.last_cause = message_of(notice.cause);
  for (const auto& [index, rank] : group.ranks) {
    fence(rank.peer, group.epoch, group.last_cause);
    seats_[rank.peer] = {};
  }
  group.state = State::kAbsent;
  group.since_us = turn.now_us;
  group.ranks.clear();
  group.plans.clear();
  if (notice.was_ready) turn.output.events.push_back(to_event(notice));
  turn.output.notices.push_back(std::move(notice));
}

void WorkerSet::fence(PeerId peer, uint64_t epoch, const std::string& cause, bool drained) {
  codec_.encode(Fence{{options_.coordinator_epoch, epoch}, cause, drained}, frame_);
  sender_->send(peer, frame_);
}

void WorkerSet::fence_all(const std::string& cause, bool drained) {
  for (const Group& group : groups_) {
    for (const auto& [index, rank] : group.ranks) fence(rank.peer, group.epoch, cause, drained);
  }
}

void WorkerSet::on_effect(effect::SendPlan& effect, TimeUs now_us, WorkerOutput& output) {
  notice_standstill(now_us);
  Group& group = groups_[static_cast<size_t>(effect.group)];
  if (group.state != State::kReady || effect.plan.epochs.group != group.epoch) return;
  Turn turn{now_us, output};
  effect.plan.retired_through = group.retired;
  codec_.encode(effect.plan, frame_);
  group.plans.push_back({effect.plan.step, now_us, has_tokens(effect.plan), effect.is_canary});
  for (const auto& [index, rank] : group.ranks) {
    if (sender_->send(rank.peer, frame_) == SendOutcome::kSent) continue;
    lose(turn,
         group,
         to_blame(index, now_us),
         unavailable(
             "TRI-GRP-049", "step {} could not be sent to rank {}", effect.plan.step, index));
    return;
  }
}

void WorkerSet::tick(TimeUs now_us, WorkerOutput& output) {
  notice_standstill(now_us);
  Turn turn{now_us, output};
  for (Group& group : groups_) {
    if (group.state == State::kAbsent) continue;
    std::optional<Hang> hang;
    if (group.state == State::kRejoining) {
      hang = find_rejoining_hang(group, now_us);
    } else if (group.state == State::kReady) {
      hang = find_running_hang(health_of(group), now_us, options_.hang_us);
    } else {
      hang = find_loading_hang(health_of(group), now_us, options_.load_hang_us);
    }
    if (hang) lose(turn, group, hang->rank, hang->cause);
  }
}

void WorkerSet::notice_standstill(TimeUs now_us) {
  const TimeUs gap_us = standstill_.gap_us(now_us);
  if (gap_us == 0) return;
  stood_us_ = gap_us;
  woke_us_ = now_us;
  forgive(gap_us);
}

void WorkerSet::hear(Rank& rank, TimeUs now_us) {
  rank.heard_us = now_us;
  rank.standstills = 0;
}

void WorkerSet::forgive(TimeUs gap_us) {
  for (Group& group : groups_) {
    group.since_us += gap_us;
    for (InFlight& plan : group.plans) plan.sent_us += gap_us;
    for (auto& [index, rank] : group.ranks) {
      if (++rank.standstills > kForgivenStandstills) continue;
      rank.heard_us += gap_us;
      rank.progress_us += gap_us;
    }
  }
}

// The facts of a group that hang detection judges.
GroupHealth WorkerSet::health_of(const Group& group) {
  GroupHealth health;
  health.gathering = group.state == State::kGathering;
  health.expected_ranks = group.tp * group.pp;
  health.gathering_since_us = group.since_us;
  for (const auto& [index, rank] : group.ranks) {
    health.ranks.push_back({index, rank.phase, rank.started, rank.heard_us, rank.progress_us});
  }
  health.plans_in_flight = group.plans.size();
  if (!group.plans.empty()) health.oldest_plan_us = group.plans.front().sent_us;
  return health;
}

}  // namespace trireme

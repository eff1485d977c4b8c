// WorkerSet while a group rejoins: asks for the plans that ranks lack, relays them, and starts the
// group when all have completed the same step (rejoin.h decides).
#include <algorithm>

#include "coordinator/doors/ranks/group_agreement.h"
#include "coordinator/doors/ranks/rejoin.h"
#include "coordinator/doors/ranks/worker_set.h"

namespace trireme {
namespace {

std::vector<RejoiningRank> lives_of(const std::vector<const RankHello*>& hellos) {
  std::vector<RejoiningRank> ranks;
  for (const RankHello* hello : hellos) ranks.push_back({hello->rank, *hello->previous_life});
  return ranks;
}

}  // namespace

// A rank of an earlier coordinator has come. Once all are there, the plans that some of them lack
// are asked of the one that got farthest.
void WorkerSet::rejoin(Turn& turn, Group& group) {
  const std::vector<const RankHello*> hellos = hellos_of(group);
  if (static_cast<int32_t>(hellos.size()) < group.tp * group.pp) return;
  const auto state = rejoin_state(lives_of(hellos));
  if (!state.ok()) {
    lose(turn, group, -1, state.status());
    return;
  }
  group.since_us = turn.now_us;
  group.recalled_at = state->source;
  if (state->source >= 0) {
    codec_.encode(RecallPlans{state->life, state->first_missing, state->through}, frame_);
    if (sender_->send(group.ranks.at(state->source).peer, frame_) != SendOutcome::kSent) {
      const Status cause =
          unavailable("TRI-GRP-049", "rank {} could not be asked for its plans", state->source);
      lose(turn, group, to_blame(state->source, turn.now_us), cause);
      return;
    }
  }
  if (state->has_caught_up) start_if_complete(turn, group);
}

// Relays a plan, in order, to the ranks that lack it; they are of the life in which it was sent.
void WorkerSet::handle(Turn& turn, PeerId peer, const KeptPlan& kept) {
  Group* const group = group_of(peer);
  if (group == nullptr || group->state != State::kRejoining) return;
  if (seats_.at(peer).rank != group->recalled_at) return;
  hear(*rank_of(peer), turn.now_us);
  for (auto& [index, rank] : group->ranks) {
    PreviousLife& life = *rank.hello->previous_life;
    if (life.epochs != kept.epochs || life.step_received != kept.step - 1) continue;
    life.step_received = kept.step;
    if (sender_->send(rank.peer, kept.frame) == SendOutcome::kSent) continue;
    lose(turn,
         *group,
         to_blame(index, turn.now_us),
         unavailable("TRI-GRP-049", "step {} could not be sent to rank {}", kept.step, index));
    return;
  }
}

void WorkerSet::start_if_caught_up(Turn& turn, Group& group) {
  const std::vector<const RankHello*> hellos = hellos_of(group);
  if (static_cast<int32_t>(hellos.size()) < group.tp * group.pp) return;
  const auto state = rejoin_state(lives_of(hellos));
  if (state.ok() && state->has_caught_up) start_if_complete(turn, group);
}

// Until all ranks are there, none that came is to blame; then they work.
std::optional<Hang> WorkerSet::find_rejoining_hang(const Group& group, TimeUs now_us) const {
  const size_t present = hellos_of(group).size();
  const int32_t expected = group.tp * group.pp;
  if (static_cast<int32_t>(present) == expected) {
    if (now_us - group.since_us > options_.catch_up_us) {
      return Hang{-1,
                  timed_out("TRI-GRP-058",
                            "the ranks did not complete the same step within {} s; the group "
                            "starts anew",
                            options_.catch_up_us / 1'000'000)};
    }
    GroupHealth health = health_of(group);
    health.plans_in_flight = 1;
    health.oldest_plan_us = group.since_us;
    return find_running_hang(health, now_us, options_.hang_us);
  }
  if (now_us - group.since_us <= options_.rejoin_us) return std::nullopt;
  return Hang{-1,
              timed_out("TRI-GRP-058",
                        "{} of {} ranks came back to this coordinator within {} s; the group "
                        "starts anew",
                        present,
                        expected,
                        options_.rejoin_us / 1'000'000)};
}

}  // namespace trireme

#include "coordinator/doors/ranks/rejoin.h"

#include <algorithm>
#include <functional>

namespace trireme {
namespace {

int64_t received(const RejoiningRank& rank) { return rank.life.step_received; }

Status do_not_fit(const RejoiningRank& first, const RejoiningRank& other) {
  return unavailable("TRI-GRP-057",
                     "the ranks of this group cannot continue together: rank {} is at step {} of "
                     "life {}.{}, rank {} at step {} of life {}.{}; the group starts anew",
                     first.rank,
                     received(first),
                     first.life.epochs.coordinator,
                     first.life.epochs.group,
                     other.rank,
                     received(other),
                     other.life.epochs.coordinator,
                     other.life.epochs.group);
}

}  // namespace

Status check_previous_life(const PreviousLife& life,
                           const std::string& journal_id,
                           uint64_t coordinator_epoch) {
  const bool is_ours = !journal_id.empty() && life.journal_id == journal_id;
  if (is_ours && life.epochs.coordinator < coordinator_epoch) return ok_status();
  return unavailable(
      "TRI-GRP-056",
      "this rank has lived under {}, which is no life that this coordinator "
      "continues; the group starts anew",
      is_ours ? "this coordinator, and its group has ended" : "the coordinator of another journal");
}

StatusOr<RejoinState> rejoin_state(const std::vector<RejoiningRank>& ranks) {
  const auto [oldest, newest] = std::ranges::minmax_element(
      ranks, std::less<>(), [](const RejoiningRank& rank) { return rank.life.epochs; });
  RejoinState state;
  state.life = oldest->life.epochs;
  const RejoiningRank* farthest = &*oldest;
  const RejoiningRank* nearest = &*oldest;
  for (const RejoiningRank& rank : ranks) {
    if (rank.life.epochs == newest->life.epochs && rank.life.epochs != state.life) {
      if (received(rank) != 0) return do_not_fit(*oldest, rank);
      continue;
    }
    if (rank.life.epochs != state.life) return do_not_fit(*oldest, rank);
    if (received(rank) > received(*farthest)) farthest = &rank;
    if (received(rank) < received(*nearest)) nearest = &rank;
  }
  const bool is_split = newest->life.epochs != state.life;
  state.through = received(*farthest);
  state.has_caught_up = std::ranges::all_of(ranks, [&](const RejoiningRank& rank) {
    return rank.life.epochs != state.life || rank.life.step_completed >= state.through;
  });
  const bool is_later = newest->life.epochs.coordinator > state.life.coordinator;
  if (is_split && !(state.has_caught_up && is_later)) return do_not_fit(*nearest, *newest);
  if (received(*nearest) == state.through) return state;
  state.first_missing = received(*nearest) + 1;
  state.source = farthest->rank;
  return state;
}

}  // namespace trireme

#include "coordinator/doors/ranks/group_health.h"

#include <algorithm>
#include <cmath>

namespace trireme {
namespace {

constexpr TimeUs kWaitingGraceUs = 3 * kHeartbeatIntervalUs;

enum class Blame : uint8_t { kNone, kWaits, kComputes, kSilent };

// Rounded down to a tenth of a second.
double seconds(TimeUs us) { return std::floor(static_cast<double>(us) * 1e-5) / 10; }

}  // namespace

std::optional<Hang> find_loading_hang(const GroupHealth& group, TimeUs now_us, TimeUs limit_us) {
  for (const RankHealth& rank : group.ranks) {
    const bool waits = rank.phase == Phase::kWaitStart && group.gathering;
    const TimeUs still = now_us - (waits || rank.started ? rank.heard_us : rank.progress_us);
    if (still <= limit_us) continue;
    return Hang{rank.rank,
                timed_out("TRI-GRP-047",
                          "no progress for {:g} s while loading, allowed is {:g} s",
                          seconds(still),
                          seconds(limit_us))};
  }
  const auto present = static_cast<int32_t>(group.ranks.size());
  if (present == group.expected_ranks || now_us - group.gathering_since_us <= limit_us) {
    return std::nullopt;
  }
  return Hang{-1,
              timed_out("TRI-GRP-051",
                        "{} of {} ranks came within {:g} s; see the output of mpirun for the "
                        "others",
                        present,
                        group.expected_ranks,
                        seconds(limit_us))};
}

std::optional<Hang> find_running_hang(const GroupHealth& group, TimeUs now_us, TimeUs limit_us) {
  const TimeUs planned_us = group.plans_in_flight == 0 ? now_us : group.oldest_plan_us;
  int32_t hanging = -1;
  TimeUs longest = 0;
  Blame worst = Blame::kNone;
  for (const RankHealth& rank : group.ranks) {
    const TimeUs silent = now_us - rank.heard_us;
    const TimeUs still = std::max(silent, now_us - std::max(rank.progress_us, planned_us));
    const Blame blame = silent > limit_us              ? Blame::kSilent
                        : waits_for_others(rank.phase) ? Blame::kWaits
                                                       : Blame::kComputes;
    const TimeUs allowed = limit_us + (blame == Blame::kWaits ? kWaitingGraceUs : 0);
    if (still <= allowed || blame <= worst) continue;
    worst = blame;
    hanging = rank.rank;
    longest = still;
  }
  if (hanging < 0) return std::nullopt;
  return Hang{hanging,
              timed_out("TRI-GRP-048",
                        "no progress for {:g} s with {} plans in flight, allowed is {:g} s",
                        seconds(longest),
                        group.plans_in_flight,
                        seconds(limit_us))};
}

}  // namespace trireme

// Hang detection for one group: from what its ranks have reported and which plans are in flight to
// the rank to blame and the cause. Pure functions; WorkerSet calls them in the loop's thread.
//
// A rank is judged by two ages: since its last heartbeat (its control thread sends one every 500
// ms, whatever the load) and since its progress counter last changed. Behind a rank that hangs all
// others stop as well, so a rank that waits for another is blamed last. (Heartbeats
// of a waiting rank count as progress, so its own wait normally ends first, at its deadline.)
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "proto/step_messages.h"

namespace trireme {

struct RankHealth {
  int32_t rank = 0;
  Phase phase = Phase::kStarting;
  bool started = false;    // it has answered START
  TimeUs heard_us = 0;     // last message
  TimeUs progress_us = 0;  // last change of progress counter or phase
};

struct GroupHealth {
  bool gathering = true;  // false: START was sent
  int32_t expected_ranks = 0;
  TimeUs gathering_since_us = 0;
  std::vector<RankHealth> ranks;  // those that have come
  size_t plans_in_flight = 0;
  TimeUs oldest_plan_us = 0;  // when it was sent; meaningless without plans
};

struct Hang {
  int32_t rank = -1;  // -1: ranks are missing, none that came is to blame
  Status cause;
};

// While a group loads and starts. TRI-GRP-047: a rank without progress for longer than `limit_us`;
// one that waits for START, or has answered it, needs only to be heard. TRI-GRP-051: not all ranks
// came within `limit_us`.
std::optional<Hang> find_loading_hang(const GroupHealth& group, TimeUs now_us, TimeUs limit_us);

// While a group is ready. TRI-GRP-048: a rank was silent, or without progress while plans were in
// flight, for longer than `limit_us`. Blamed, in this order: a silent rank; one that computes; one
// that waits for another rank, and that only after three more heartbeats.
std::optional<Hang> find_running_hang(const GroupHealth& group, TimeUs now_us, TimeUs limit_us);

}  // namespace trireme

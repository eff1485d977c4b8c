// How a group goes on whose ranks have outlived their coordinator: from what they say of their
// previous life to what they still lack before the next one can begin. Pure functions; WorkerSet
// calls them in the loop's thread.
//
// A rank may be inside a collective of a step whose plan another rank never got. So all ranks first
// get the plans that any of them has, and complete the same step; then no rank waits for another,
// and all can begin anew.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/step_messages.h"

namespace trireme {

struct RejoiningRank {
  int32_t rank = 0;
  PreviousLife life;
};

// TRI-GRP-056: `life` is none that this coordinator can continue: of another journal, or not older
// than its own epoch.
Status check_previous_life(const PreviousLife& life,
                           const std::string& journal_id,
                           uint64_t coordinator_epoch);

struct RejoinState {
  Epochs life;                 // in which steps are missing
  int64_t through = 0;         // the last step that any rank has received
  int64_t first_missing = 0;   // the first step that some rank lacks; 0: none
  int32_t source = -1;         // the rank that has received most; -1: no rank lacks a plan
  bool has_caught_up = false;  // all ranks have completed `through`
};

// `ranks`: all of a group, in order. Some of them may have begun a life more than the others, from
// a coordinator that ended before it had started all; in that life there is no plan, and the others
// had completed the same step. TRI-GRP-057: their lives do not fit together.
StatusOr<RejoinState> rejoin_state(const std::vector<RejoiningRank>& ranks);

}  // namespace trireme

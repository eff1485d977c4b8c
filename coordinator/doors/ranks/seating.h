// Whether a rank that introduces itself may join its group. Pure function of what it says and of
// the ranks that the group has already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

// The identity that a Heartbeat and a RankHello both carry.
struct Introduction {
  int32_t group = 0;
  int32_t rank = 0;
  int32_t tp = 0;
  int32_t pp = 0;
  std::string host;
  int64_t pid = 0;
};

// TRI-GRP-042: a group outside 0 to num_groups - 1. TRI-GRP-043: a rank outside tp x pp, or more
// than 1024 ranks. TRI-GRP-044: the group has this rank already. TRI-GRP-045: tp or pp differ from
// those of `seated`, the ranks of the group, in order.
Status check_seat(const Introduction& who,
                  int32_t num_groups,
                  const std::vector<Introduction>& seated);

}  // namespace trireme

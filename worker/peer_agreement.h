// Compares the settings of a group's ranks (proto/rank_agreement.h) before they warm up together,
// which the coordinator can do only once all have warmed up.
#pragma once

#include "base/status.h"
#include "proto/step_messages.h"
#include "worker/comm/comm.h"

namespace trireme {

// Collective over the group; `hello` holds what is known so far. Every rank gets the same answer.
// TRI-GRP-045: the first term in which a rank differs from rank 0, and both values.
Status agree_with_peers(Comm& group, const RankHello& hello);

}  // namespace trireme

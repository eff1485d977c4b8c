// Communicators of a group whose ranks are threads of this process: for tests, and for several
// ranks on one GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/comm/group_comms.h"

namespace trireme {

// TRI-GRP-029: --local-ranks is not tp x pp, or is combined with several ranks of the launcher.
Status check_local_ranks(int tp, int pp, int local_ranks, int launched_ranks);

// Entry r belongs to the thread of rank r; tp x pp entries.
std::vector<std::unique_ptr<GroupComms>> make_local_group(int tp, int pp, const std::string& host);

}  // namespace trireme

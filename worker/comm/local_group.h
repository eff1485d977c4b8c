// The communicators of a group whose ranks are threads of this process: for tests, and for several
// ranks on one GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/comm/group_comms.h"

namespace trireme {

// TRI-GRP-029: local ranks and ranks of the launcher do not make tp x pp, or are mixed.
Status check_local_ranks(int tp, int pp, int local_ranks, int launched_ranks);

// Thread i of tp x pp takes entry i.
std::vector<std::unique_ptr<GroupComms>> make_local_group(int tp, int pp, const std::string& host);

}  // namespace trireme

// Words for the failures of groups, from the coordinator's events and the output of their
// processes. No state; main thread.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "launch/group_processes.h"
#include "launch/supervision/coordinator_events.h"

namespace trireme {

constexpr TimeUs kFirstRankUs = 24'000'000;  // from the launch to a rank's first message

// Rank, host, phase and cause of a group_lost event.
std::string describe_loss(const CoordinatorEvent& lost);

// How the process of a group has ended: mpirun, or the worker itself (is_one_process()).
std::string describe_end(GroupProcess& group);

// Error for a group that did not start: TRI-UP-011 or TRI-UP-012, with the cause from mpirun's
// output. `event`: the coordinator's group_lost event; null: there was none.
Status start_failure(GroupProcesses& groups, int index, const CoordinatorEvent* event);

}  // namespace trireme

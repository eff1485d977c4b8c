// Whether the ranks of a group agree in all but rank, host, pid and pages, and the shape of the
// group that they form. Pure functions of their HELLOs.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/engine/events.h"
#include "proto/step_messages.h"

namespace trireme {

// TRI-GRP-045: names the first field that differs, the two ranks and their values.
// TRI-GRP-040: another model than `fingerprint`, unless that is empty.
// TRI-GRP-052: no page fits a rank, or a count that makes no group.
Status check_agreement(const std::vector<const RankHello*>& hellos, const std::string& fingerprint);

// The shape that all of a complete group can serve: the smallest page count; a model length that
// its pages can hold. Group and epoch are the caller's.
GroupShape shape_of(const std::vector<const RankHello*>& hellos);

}  // namespace trireme

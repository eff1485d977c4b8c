// What the ranks of a group must have alike before they run anything together: steps of other
// sizes would wait for one another, or write past one another's memory. The coordinator compares
// more (coordinator/doors/group_agreement.h), but only once all have warmed up.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "worker/comm/comm.h"

namespace trireme {

using GroupTerms = std::vector<std::pair<std::string, std::string>>;  // names and values

// Collective; every rank gets the same answer. TRI-GRP-045: the first term in which a rank differs
// from rank 0, and both values.
Status agree_on_terms(Comm& comm, const GroupTerms& terms);

}  // namespace trireme

// The end of a rank whose group is lost.
#pragma once

#include "base/status.h"

namespace trireme {

// Ends the process at once with a line that says why: no destructors, no MPI, no launcher in
// between. For a rank whose group is lost.
[[noreturn]] void exit_rank(const Status& reason, int exit_status = 3);

}  // namespace trireme

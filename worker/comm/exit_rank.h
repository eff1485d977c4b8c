// The immediate end of the process of a rank whose group is lost. From any thread.
#pragma once

#include "base/status.h"

namespace trireme {

// Prints the reason on stderr and ends the process at once: no destructors and no MPI_Finalize,
// which could wait for dead peers.
[[noreturn]] void exit_rank(const Status& reason, int exit_status = 3);

}  // namespace trireme

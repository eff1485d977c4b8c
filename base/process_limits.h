// Limits that the system sets to this process and the processes that it starts: open files and
// threads. Asked at start, so that a limit that is too low is one clear error and not an abort
// inside a library. Main thread, before others start.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace trireme {

// The soft limit of open files, which counts; at most 1 Mi.
int64_t open_file_limit();

// Descriptors that this process has open now.
int64_t count_open_files();

// Raises the limit of open files to `needed` where it is lower and may be raised; processes that
// are started later inherit it. `who` needs them: "the cluster". TRI-UP-041: it may not be raised
// so far.
Status require_open_files(int64_t needed, std::string_view who);

// Raises the limit of open files to `wanted` or as far as it may be raised.
void raise_open_files(int64_t wanted);

// Starts `needed` threads at once and ends them. TRI-UP-042: the limit of processes (ulimit -u, or
// that of the control group) does not allow them, or that of address space (ulimit -v) not their
// stacks.
Status require_threads(int needed, std::string_view who);
// The same for threads of several processes: their stacks do not count together.
Status require_threads_of_all(int needed, std::string_view who);

}  // namespace trireme

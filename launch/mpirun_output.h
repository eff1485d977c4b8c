// Finds the cause of a group's end in the output of mpirun and the ranks. Pure.
#pragma once

#include <deque>
#include <string>

namespace trireme {

// In order of preference: mpirun's report of a rank that died by a signal ("rank 2 on n1 exited on
// signal 9 (Killed)"), the first error of a rank ("TRI-...: ..."), mpirun's own error, the last
// line,
// "".
std::string cause_in_output(const std::deque<std::string>& lines);

}  // namespace trireme

// What mpirun and the ranks printed before they ended, boiled down to one cause. Pure.
#pragma once

#include <deque>
#include <string>

namespace trireme {

// The first line of ours ("TRI-...: ..."), else what mpirun says about the rank that died ("rank 2
// on host n1 exited on signal 9 (Killed)"), else mpirun's own complaint, else the last line, else
// "".
std::string cause_in_output(const std::deque<std::string>& lines);

}  // namespace trireme

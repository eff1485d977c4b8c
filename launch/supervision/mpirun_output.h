// Finds the cause of a group's end in the output of mpirun and the ranks. Pure.
#pragma once

#include <deque>
#include <string>
#include <vector>

namespace trireme {

// One line that names the cause. In order of preference: mpirun's report of a rank that died by a
// signal ("rank 2 on n1 exited on signal 9 (Killed)", and the line that tells why), the first error
// of a rank ("TRI-...: ..."), a line of the loader, of ssh or of a library that is known to name a
// cause, the first of mpirun's framed messages that is no warning and does not follow from another.
// "": none is recognised.
std::string cause_in_output(const std::deque<std::string>& lines);

// At most the ten last lines that say something: no frames, no lines of the log.
std::vector<std::string> last_lines_of_output(const std::deque<std::string>& lines);

// The cause as the end of an error's text: cause_in_output(); else `otherwise` with the last lines,
// which stand on lines of their own behind `advice`.
std::string describe_output(const std::deque<std::string>& lines,
                            const std::string& otherwise,
                            const std::string& advice = "");

}  // namespace trireme

// Ports to try for a door that may have any: below those that the kernel gives to connections.
// Nothing takes them while a coordinator starts again, not even a peer's own attempt to connect to
// the door, which on loopback can meet itself.
#pragma once

#include <vector>

namespace trireme {

// At most `count`, in random order; none where the kernel leaves no such ports.
std::vector<int> free_port_candidates(int count);

}  // namespace trireme

// Divides work over threads of its own for the duration of a call: for loading, never in a step
// (the CPU backend has a pool).
#pragma once

#include <cstdint>
#include <functional>

namespace trireme {

// Calls part(begin, end) for `parts` disjoint ranges that cover [0, count), all but the last each
// in a thread of its own, and returns when all have. At least one part; a part may be empty.
void run_ranges(int64_t count,
                int parts,
                const std::function<void(int64_t begin, int64_t end)>& part);

}  // namespace trireme

// Mutated answers: a parser neither fails on them nor loses a byte, however they are cut.
#pragma once

#include <cstdint>

namespace trireme {

// Mutates the answers of the dialects written by hand; `count` answers in all.
void read_mutated_answers(int count, uint64_t seed);

}  // namespace trireme

// Breaks a small tokenizer.json in many ways: each is refused with an id, or read to the values
// that an independent JSON parser finds, within the memory bound. Shared by the short and the long
// run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace trireme {

struct MutationCounts {
  int64_t refused = 0;
  int64_t read = 0;
};

// Runs `count` mutations with `seed`; failures are GTest failures that print seed and number.
MutationCounts run_mutations(int64_t count, uint64_t seed);

// A tokenizer.json of a published style (byte-level) cut down to its first tokens.
std::string small_tokenizer(const std::string& style);

}  // namespace trireme

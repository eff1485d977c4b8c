// Random mutations of a small tokenizer.json. Each is refused with an id, or parsed to the values
// that an independent JSON parser finds, within the memory bound. Shared by the short and the long
// test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace trireme {

struct MutationCounts {
  int64_t refused = 0;
  int64_t read = 0;
};

// Runs `count` mutations with `seed`; failures are GTest failures that print seed and index.
MutationCounts run_mutations(int64_t count, uint64_t seed);

// A tokenizer.json of a published style (byte-level), reduced to its first tokens.
std::string small_tokenizer(const std::string& style);

}  // namespace trireme

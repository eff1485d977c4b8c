// Random mutations of a tokenizer_config.json. Each is refused with an id, or parsed to the values
// that an independent JSON parser finds, within the memory bound. Shared by the short and the long
// test.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

struct SettingsCounts {
  int64_t refused = 0;
  int64_t read = 0;
};

// Runs `count` mutations with `seed`; failures are GTest failures that print seed and index.
SettingsCounts mutate_settings(int64_t count, uint64_t seed);

// Checks one text; true if it was accepted.
bool check_settings(const std::string& text);

}  // namespace trireme

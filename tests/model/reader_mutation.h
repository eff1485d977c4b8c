// Breaks config.json and safetensors headers in many ways: each is refused with an id, or read to
// the values that an independent parser finds, within the memory bound. Shared by the short and
// the long run.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

struct ReaderCounts {
  int64_t refused = 0;
  int64_t read = 0;
};

// `count` mutations with `seed`; failures are GTest failures that print seed and number.
ReaderCounts mutate_configs(int64_t count, uint64_t seed);
ReaderCounts mutate_headers(int64_t count, uint64_t seed);

// One text each; true if it was read. `file_bytes` is the whole safetensors file's length.
bool check_config(const std::string& text);
bool check_header(const std::string& header, int64_t file_bytes);

}  // namespace trireme

// Random mutations of config.json, of safetensors headers and of indexes of shards. Each is refused
// with an id, or parsed to the values that an independent parser finds, within the memory bound.
// Shared by the short and the long test.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

struct ReaderCounts {
  int64_t refused = 0;
  int64_t read = 0;
};

// Runs `count` mutations with `seed`; failures are GTest failures that print seed and index.
ReaderCounts mutate_configs(int64_t count, uint64_t seed);
ReaderCounts mutate_headers(int64_t count, uint64_t seed);
ReaderCounts mutate_indexes(int64_t count, uint64_t seed);

// Checks one text; true if it was accepted. `file_bytes` is the length of the whole file.
bool check_config(const std::string& text);
bool check_header(const std::string& header, int64_t file_bytes);
bool check_index(const std::string& text);

}  // namespace trireme

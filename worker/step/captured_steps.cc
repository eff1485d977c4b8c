#include "worker/step/captured_steps.h"

#include <algorithm>

namespace trireme {
namespace {

// Sampled rows of mixed steps. The head of up to 64 takes the time of reading its weights; above,
// its time grows with the rows, from 256 (kHeadRows) on by passes.
constexpr int32_t kPasses[] = {64, 128, 256, 512};

// The numbers of sampled rows of captured mixed steps of `num_tokens` tokens. Up to 64, the largest
// bucket that such a step can have; above, every one of kPasses and the largest bucket.
std::vector<int32_t> rows_of_mixed(int32_t num_tokens, std::span<const int32_t> row_buckets) {
  std::vector<int32_t> rows;
  for (size_t i = 0; i < row_buckets.size() && row_buckets[i] <= num_tokens; ++i) {
    const int32_t row = row_buckets[i];
    const bool is_last = i + 1 == row_buckets.size() || row_buckets[i + 1] > num_tokens;
    const bool is_pass = std::ranges::find(kPasses, row) != std::end(kPasses);
    if (row <= kPasses[0]) rows.assign(1, row);
    if (row > kPasses[0] && (is_pass || is_last)) rows.push_back(row);
  }
  return rows;
}

}  // namespace

CapturedSteps::CapturedSteps(std::span<const int32_t> token_buckets,
                             std::span<const int32_t> row_buckets) {
  for (const int32_t size : token_buckets) {
    if (std::ranges::binary_search(row_buckets, size)) keys_.push_back({size, size, false});
  }
  for (const int32_t size : token_buckets) {
    for (const int32_t rows : rows_of_mixed(size, row_buckets)) keys_.push_back({size, rows, true});
  }
}

StepKey CapturedSteps::key_for(const GraphKey& named) const {
  const auto serves = [&](const StepKey& key) {
    return key.num_tokens == named.token_bucket && key.num_rows >= named.row_bucket &&
           key.is_mixed != named.decode_only;
  };
  if (named.token_bucket == 0) return {};
  const auto found = std::ranges::find_if(keys_, serves);  // rows ascend
  return found == keys_.end() ? StepKey() : *found;
}

}  // namespace trireme

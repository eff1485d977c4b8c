#include "model/step_buckets.h"

#include <algorithm>

namespace trireme {

namespace {

constexpr int32_t kSmall[] = {1, 2, 4, 8, 16, 24, 32, 48, 64};
constexpr int32_t kStride = 32;
constexpr int32_t kMaxBucket = 512;

// The smallest bucket >= count, or 0.
int32_t bucket_of(const std::vector<int32_t>& buckets, int32_t count) {
  const auto found = std::ranges::lower_bound(buckets, count);
  return found == buckets.end() ? 0 : *found;
}

}  // namespace

std::vector<int32_t> step_buckets(int32_t max_size) {
  std::vector<int32_t> buckets(std::begin(kSmall), std::end(kSmall));
  for (int32_t bucket = buckets.back() + kStride; bucket <= kMaxBucket; bucket += kStride) {
    buckets.push_back(bucket);
  }
  std::erase_if(buckets, [&](int32_t bucket) { return bucket > max_size; });
  return buckets;
}

GraphKey graph_key_of(const std::vector<int32_t>& token_buckets,
                      const std::vector<int32_t>& row_buckets,
                      int32_t num_tokens,
                      int32_t num_rows,
                      bool decode_only) {
  const GraphKey key = {
      bucket_of(token_buckets, num_tokens), bucket_of(row_buckets, num_rows), decode_only};
  return key.token_bucket == 0 || key.row_bucket == 0 ? GraphKey() : key;
}

}  // namespace trireme

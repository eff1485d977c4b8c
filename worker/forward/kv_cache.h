// Owns the memory of this rank's KV pages; the coordinator decides which request holds which page.
// Addresses are reserved first, because captured steps contain them; physical memory is allocated
// last, from what everything else has left, and before the rank announces itself.
#pragma once

#include <memory>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/shard_spec.h"

namespace trireme {

struct KvCacheRequest {
  int64_t memory_bytes = 0;  // 0: as much as fits
  int64_t max_slots = 0;
  int64_t max_model_len = 0;
  bool may_shorten = false;  // fewer tokens than max_model_len may fit
};

class KvCache {
 public:
  // Reserves addresses for the pages of `memory_bytes`; if 0, for max_slots sequences of
  // max_model_len tokens, at most the backend's memory for caches at this time.
  static StatusOr<KvCache> reserve(Backend& backend,
                                   const ShardSpec& shard,
                                   int32_t head_dim,
                                   const KvCacheRequest& request);
  // Allocates as many of these pages as fit into memory_bytes, or into `given_bytes` if that is 0.
  // Call once. TRI-MEM-002: too few for one sequence of max_model_len tokens.
  Status fill(int64_t given_bytes);

  // `num_pages` is 0 before fill().
  const KvPages& pages() const { return pages_; }
  int64_t bytes() const { return pages_.num_pages * pages_.page_stride; }

 private:
  int64_t pages_per_sequence() const;
  Status too_little(int64_t budget, int64_t num_pages) const;

  KvCacheRequest request_;
  std::unique_ptr<ReservedMemory> memory_;
  int64_t reserved_pages_ = 0;
  KvPages pages_;
};

}  // namespace trireme

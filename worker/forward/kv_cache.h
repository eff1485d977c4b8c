// The memory of this rank's KV pages. Owns it; who holds which page is the coordinator's business.
// Its addresses come first, so that steps can be recorded; its memory last, of what all else has
// left.
#pragma once

#include <memory>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/shard_spec.h"

namespace trireme {

struct KvCacheRequest {
  int64_t memory_bytes = 0;  // 0: choose
  int64_t max_slots = 0;
  int64_t max_model_len = 0;
  bool may_shorten = false;  // fewer tokens than max_model_len may fit
};

class KvCache {
 public:
  // Addresses for as many pages as `memory_bytes` holds; without a figure for max_slots
  // sequences of max_model_len, but no more than the backend could give to caches now.
  static StatusOr<KvCache> reserve(Backend& backend,
                                   const ShardSpec& shard,
                                   int32_t head_dim,
                                   const KvCacheRequest& request);
  // Memory for as many of these pages as fit into `given_bytes`, or into memory_bytes; once.
  // TRI-MEM-002: too little for one sequence of the maximal length.
  Status fill(int64_t given_bytes);

  // `num_pages` is 0 until they have memory.
  const KvPages& pages() const { return pages_; }
  int64_t bytes() const { return pages_.num_pages * pages_.page_stride; }

 private:
  int64_t pages_a_sequence() const;
  Status too_little(int64_t budget, int64_t num_pages) const;

  KvCacheRequest request_;
  std::unique_ptr<ReservedMemory> memory_;
  int64_t reserved_pages_ = 0;
  KvPages pages_;
};

}  // namespace trireme

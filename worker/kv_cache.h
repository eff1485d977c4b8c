// The memory of this rank's KV pages. Owns it; who holds which page is the coordinator's business.
#pragma once

#include "base/status.h"
#include "kernels/backend.h"
#include "model/shard_spec.h"

namespace trireme {

struct KvCacheRequest {
  int64_t memory_bytes = 0;  // 0: choose
  int64_t max_num_seqs = 0;
  int64_t max_model_len = 0;
  bool may_shorten = false;    // fewer tokens than max_model_len may fit
  int64_t given_bytes = -1;    // what the backend gives to caches; below 0: ask it now
  int64_t reserved_bytes = 0;  // what this rank will still allocate
  int ranks_on_device = 1;     // that share its memory
};

class KvCache {
 public:
  // As many pages as `memory_bytes` holds; without a figure enough for max_num_seqs sequences of
  // max_model_len, but at most what the backend gives to caches, less what is reserved, shared
  // among the device's ranks. TRI-MEM-002: too little for one sequence of the maximal length.
  static StatusOr<KvCache> make(Backend& backend,
                                const ShardSpec& shard,
                                int32_t head_dim,
                                const KvCacheRequest& request);

  const KvPages& pages() const { return pages_; }
  int64_t bytes() const { return memory_.bytes(); }

 private:
  Buffer memory_;
  KvPages pages_;
};

}  // namespace trireme

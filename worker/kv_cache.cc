#include "worker/kv_cache.h"

#include <algorithm>
#include <utility>

namespace trireme {

StatusOr<KvCache> KvCache::make(Backend& backend,
                                const ShardSpec& shard,
                                int32_t head_dim,
                                const KvCacheRequest& request) {
  KvCache cache;
  KvPages& pages = cache.pages_;
  pages.layout = backend.kv_layout(head_dim);
  pages.num_layers = static_cast<int32_t>(shard.layers().size());
  pages.num_heads = static_cast<int32_t>(shard.num_kv_heads());
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.head_stride * pages.num_heads;
  pages.page_stride = pages.layer_stride * pages.num_layers;

  const int64_t page_tokens = pages.layout.page_tokens;
  const int64_t pages_a_sequence = (request.max_model_len + page_tokens - 1) / page_tokens;
  const int64_t all = request.given_bytes < 0 ? backend.cache_bytes() : request.given_bytes;
  const int64_t given = all / std::max(request.ranks_on_device, 1);
  const int64_t share = std::max<int64_t>(given - request.reserved_bytes, 0);
  const int64_t budget = request.memory_bytes > 0 ? request.memory_bytes : share;
  const int64_t wanted = request.memory_bytes > 0 ? budget / pages.page_stride
                                                  : pages_a_sequence * request.max_num_seqs;
  pages.num_pages = std::min(wanted, budget / pages.page_stride);
  if (pages.num_pages < (request.may_shorten ? 1 : pages_a_sequence)) {
    return exhausted("TRI-MEM-002",
                     format_bytes(static_cast<double>(budget)),
                     " of KV memory hold ",
                     pages.num_pages,
                     " pages of ",
                     page_tokens,
                     " tokens, but one sequence of ",
                     request.max_model_len,
                     " tokens needs ",
                     pages_a_sequence,
                     " (",
                     format_bytes(static_cast<double>(pages_a_sequence * pages.page_stride)),
                     "); lower --max-model-len, raise --kv-memory, or use more ranks");
  }
  ASSIGN_OR_RETURN(cache.memory_,
                   backend.allocate(pages.num_pages * pages.page_stride, "the KV cache"));
  pages.base = cache.memory_.data();
  return cache;
}

}  // namespace trireme

#include "worker/forward/kv_cache.h"

#include <algorithm>
#include <utility>

namespace trireme {

StatusOr<KvCache> KvCache::reserve(Backend& backend,
                                   const ShardSpec& shard,
                                   int32_t head_dim,
                                   const KvCacheRequest& request) {
  KvCache cache;
  cache.request_ = request;
  KvPages& pages = cache.pages_;
  pages.layout = backend.kv_layout(head_dim);
  pages.num_layers = static_cast<int32_t>(shard.layers().size());
  pages.num_heads = static_cast<int32_t>(shard.num_kv_heads());
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.head_stride * pages.num_heads;
  pages.page_stride = pages.layer_stride * pages.num_layers;

  const int64_t wanted = request.memory_bytes > 0
                             ? request.memory_bytes / pages.page_stride
                             : std::min(cache.pages_per_sequence() * request.max_slots,
                                        backend.cache_bytes() / pages.page_stride);
  cache.reserved_pages_ = std::max<int64_t>(wanted, 0);
  ASSIGN_OR_RETURN(cache.memory_,
                   backend.reserve(cache.reserved_pages_ * pages.page_stride, "the KV cache"));
  pages.base = cache.memory_->data();
  return cache;
}

Status KvCache::fill(int64_t given_bytes) {
  const int64_t units = std::max<int64_t>(given_bytes, 0) / memory_->unit() * memory_->unit();
  const int64_t budget = request_.memory_bytes > 0 ? request_.memory_bytes : units;
  const int64_t num_pages = std::min(reserved_pages_, budget / pages_.page_stride);
  if (num_pages < (request_.may_shorten ? 1 : pages_per_sequence())) {
    return too_little(budget, num_pages);
  }
  RETURN_IF_ERROR(memory_->fill(num_pages * pages_.page_stride));
  pages_.base = memory_->data();
  pages_.num_pages = num_pages;
  return ok_status();
}

int64_t KvCache::pages_per_sequence() const {
  const int64_t page_tokens = pages_.layout.page_tokens;
  return (request_.max_model_len + page_tokens - 1) / page_tokens;
}

Status KvCache::too_little(int64_t budget, int64_t num_pages) const {
  return exhausted("TRI-MEM-002",
                   "{} of KV memory hold {} pages of {} tokens, but one sequence of {} tokens "
                   "needs {} ({}); lower --max-model-len, raise --kv-memory, or use more ranks",
                   format_bytes(static_cast<double>(budget)),
                   num_pages,
                   pages_.layout.page_tokens,
                   request_.max_model_len,
                   pages_per_sequence(),
                   format_bytes(static_cast<double>(pages_per_sequence() * pages_.page_stride)));
}

}  // namespace trireme

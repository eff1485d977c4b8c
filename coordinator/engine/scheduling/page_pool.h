// Page ids of one group's KV cache, with prefix caching: grants pages, shares full ones by key,
// takes them back. Idle published pages are evicted in LRU order. Used by the Engine's thread only.
// Knows ids and counts, not bytes or devices. Invariant after every call: free + cached + held ==
// num_pages.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

// Identifies a full page by its tokens and, through its parent's key, all tokens before it
// (page_keys.h).
struct PageKey {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const PageKey&) const = default;
};

class PagePool {
 public:
  explicit PagePool(int num_pages);

  // Takes `count` pages; evicts the least recently used cached ones if too few are free. All or
  // nothing: returns no page if fewer than `count` are available.
  std::vector<PageId> take(int count);

  // Takes one share of each page of the longest known prefix of `keys`.
  std::vector<PageId> take_cached(std::span<const PageKey> keys);

  // Length of the longest known prefix of `keys`.
  int count_cached(std::span<const PageKey> keys) const;

  // Takes one more share of held pages.
  void share(std::span<const PageId> pages);

  // Makes a full, held page findable by `key`; it must not be written while it is known. If another
  // page has this key already, that one keeps it and this page stays anonymous.
  void publish(PageId page, const PageKey& key);

  // Returns one share of each page, the last page first, so that a prefix is evicted after the
  // pages that follow it.
  void release(std::span<const PageId> pages);

  int available() const { return num_idle_; }  // free + cached
  int held() const { return ring_ - num_idle_; }
  int cached() const { return num_cached_; }  // known and not held

 private:
  struct Page {
    int shares = 0;
    bool known = false;
    PageKey key;
    PageId older = 0;  // neighbours in the idle ring
    PageId newer = 0;
  };
  struct KeyHash {
    size_t operator()(const PageKey& key) const { return key.low; }
  };

  void make_idle(PageId page);
  void leave_idle(PageId page);
  void forget(Page& page);

  std::vector<Page> pages_;
  // Idle pages form a ring, the next to be reused first; index of its sentinel: num_pages.
  const PageId ring_;
  int num_idle_ = 0;
  int num_cached_ = 0;
  std::unordered_map<PageKey, PageId, KeyHash> known_;
};

}  // namespace trireme

// The pages of one group's KV cache: grants them, shares full ones by prefix, takes them back.
// Used by the Engine's thread only. Knows ids and counts, never bytes or devices.
// Invariant after every call: free + cached + held == num_pages.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

// Names the content of a full page: its tokens and, through the parent, all that came before.
// The first parent carries model version, adapter and the principal's salt.
struct PageKey {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const PageKey&) const = default;
};

class PagePool {
 public:
  explicit PagePool(int num_pages);

  // Takes `count` pages, forgetting the least recently used cached ones if it must.
  // All or nothing: returns no page if fewer than `count` are available.
  std::vector<PageId> take(int count);

  // Takes a share of the longest run of `keys`, from the first, whose pages are known.
  std::vector<PageId> take_cached(std::span<const PageKey> keys);

  // How many of `keys`, from the first, take_cached would find.
  int count_cached(std::span<const PageKey> keys) const;

  // Takes one more share of held pages.
  void share(std::span<const PageId> pages);

  // Makes a full, held page findable. It is not written again while it is known.
  // If the key is already known the older page keeps it and this one stays anonymous.
  void publish(PageId page, const PageKey& key);

  // Gives back one share of each page, the last first, so that a prefix outlives what follows it.
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
  // Idle pages form a ring, the next to be reused first. Its sentinel is one past the last page.
  const PageId ring_;
  int num_idle_ = 0;
  int num_cached_ = 0;
  std::unordered_map<PageKey, PageId, KeyHash> known_;
};

}  // namespace trireme

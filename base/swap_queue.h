// A bounded queue between two threads whose places keep their memory: push and pop swap, so that
// values with vectors inside travel without allocating.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace trireme {

template <class T>
class SwapQueue {
 public:
  explicit SwapQueue(size_t capacity) : places_(capacity) {}

  // False: full, `value` is untouched. Otherwise `value` holds what the place held before.
  bool push(T& value) {
    const std::lock_guard lock(mutex_);
    if (count_ == places_.size()) return false;
    std::swap(places_[(first_ + count_++) % places_.size()], value);
    return true;
  }

  // False: empty.
  bool pop(T& value) {
    const std::lock_guard lock(mutex_);
    if (count_ == 0) return false;
    std::swap(places_[first_], value);
    first_ = (first_ + 1) % places_.size();
    --count_;
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<T> places_;
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace trireme

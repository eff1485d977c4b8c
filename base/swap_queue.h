// A bounded FIFO between two threads. push and pop swap the value with a place of the ring, so that
// vectors inside of values keep their capacity and nothing allocates in the steady state. Any
// thread; one mutex guards the ring.
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

  // False if full; `value` is then unchanged. Otherwise `value` holds an old value of unspecified
  // content.
  bool push(T& value) {
    const std::lock_guard lock(mutex_);
    if (count_ == places_.size()) return false;
    std::swap(places_[(first_ + count_++) % places_.size()], value);
    return true;
  }

  // False if empty; `value` is then unchanged.
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

// Owner of a C handle: Handle<sqlite3*, sqlite3_close>. Movable, not copyable; the null value means
// empty and is not destroyed.
#pragma once

#include <utility>

namespace trireme {

template <class T, auto destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Handle() {
    if (value_ != T{}) destroy(value_);
  }

  T get() const { return value_; }
  explicit operator bool() const { return value_ != T{}; }

 private:
  T value_{};
};

}  // namespace trireme

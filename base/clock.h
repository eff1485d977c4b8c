// The clock as a dependency: code that reads time takes a Clock, and its tests pass a FakeClock.
// One clock belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace trireme {

using TimeUs = int64_t;  // microseconds of a monotonic clock with an arbitrary origin

// Any coarser unit converts to the parameter.
constexpr TimeUs in_us(std::chrono::microseconds time) { return time.count(); }

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeUs now_us() = 0;
};

class SteadyClock final : public Clock {
 public:
  TimeUs now_us() override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// Advances only when the test says so.
class FakeClock final : public Clock {
 public:
  TimeUs now_us() override { return now_us_; }
  void advance_us(TimeUs by) { now_us_ += by; }

 private:
  TimeUs now_us_ = 1'000'000;
};

}  // namespace trireme

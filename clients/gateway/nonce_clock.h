// The nonces with which streams ask for their answers: the wall clock in microseconds, so that a
// gateway that was started later is ahead, and always upwards. Loop's thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace trireme::gateway {

class NonceClock {
 public:
  uint64_t next() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    last_ = std::max(last_ + 1, static_cast<uint64_t>(std::max<int64_t>(now_us, 0)));
    return last_;
  }
  // A stream elsewhere has this one; those to come are greater, also if the clock went back.
  void note(uint64_t nonce) { last_ = std::max(last_, nonce); }

 private:
  uint64_t last_ = 0;
};

}  // namespace trireme::gateway

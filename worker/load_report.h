// Progress of loading as plain lines on stderr, one per two seconds. Used by the loading thread.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/text.h"

namespace trireme {

class LoadReport {
 public:
  explicit LoadReport(int rank)
      : rank_(rank), start_us_(clock_.now_us()), reported_us_(start_us_) {}

  void report(int64_t done, int64_t total) {
    done_ = done;
    const TimeUs now_us = clock_.now_us();
    if (now_us - reported_us_ < kEveryUs) return;
    reported_us_ = now_us;
    const double seconds = static_cast<double>(now_us - start_us_) * 1e-6;
    const double rate = static_cast<double>(done) / seconds;
    const double left_s = static_cast<double>(total - done) / rate;
    print(format_text("loading {} of {}, {}/s, {} s left",
                      format_bytes(static_cast<double>(done)),
                      format_bytes(static_cast<double>(total)),
                      format_bytes(rate),
                      std::llround(left_s)));
  }

  void finish(const std::string& outcome) {
    const double seconds = static_cast<double>(clock_.now_us() - start_us_) * 1e-6;
    print(format_text("loaded {} in {:g} s: {}",
                      format_bytes(static_cast<double>(done_)),
                      std::round(seconds * 10) / 10,
                      outcome));
  }

 private:
  static constexpr TimeUs kEveryUs = 2'000'000;

  void print(const std::string& line) const {
    std::fprintf(stderr, "rank %d: %s\n", rank_, line.c_str());
  }

  SteadyClock clock_;
  const int rank_;
  const TimeUs start_us_;
  TimeUs reported_us_;
  int64_t done_ = 0;
};

}  // namespace trireme

// Counters, gauges and histograms of one process. main owns the Registry; each component registers
// its metrics at start. Any thread updates and reads them without a lock.
// Invariant: a reference returned by the Registry stays valid for the lifetime of the Registry.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace trireme {

// A total that only grows.
class Counter {
 public:
  void add(int64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// The last value that was set.
class Gauge {
 public:
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// Counts of observations by bucket: bucket i counts values in (bounds[i - 1], bounds[i]]; the last
// one counts those above all bounds.
class Histogram {
 public:
  explicit Histogram(std::vector<int64_t> bounds);  // ascending

  void observe(int64_t value);

  int64_t count() const;
  int64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  const std::vector<int64_t>& bounds() const { return bounds_; }
  std::vector<int64_t> buckets() const;  // bounds + 1 counts, not cumulative
  // The upper bound of the bucket in which the fraction `share` (0..1) of all observations is
  // reached. 0 without observations; the last bound for values above it.
  int64_t quantile(double share) const;

 private:
  const std::vector<int64_t> bounds_;
  std::vector<std::atomic<int64_t>> buckets_;
  std::atomic<int64_t> sum_ = 0;
};

// n bounds: first, 2 x first, 4 x first, ...
std::vector<int64_t> doubling_bounds(int64_t first, int n);

class Registry {
 public:
  // Names are `snake_case` with the unit last ("step_us"). CHECKs that a name is registered once.
  Counter& counter(const std::string& name, const std::string& help);
  Gauge& gauge(const std::string& name, const std::string& help);
  Histogram& histogram(const std::string& name,
                       const std::string& help,
                       std::vector<int64_t> bounds);

  // All metrics in order of registration; `metric` points into the Registry.
  struct Entry {
    std::string name;
    std::string help;
    std::variant<const Counter*, const Gauge*, const Histogram*> metric;
  };
  std::vector<Entry> entries() const;

 private:
  void enter(Entry entry);

  mutable std::mutex mutex_;  // guards the lists, not the numbers
  std::vector<Entry> entries_;
  std::deque<Counter> counters_;
  std::deque<Gauge> gauges_;
  std::deque<Histogram> histograms_;
};

}  // namespace trireme

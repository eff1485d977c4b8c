// Counters, gauges and histograms of one process. Registered at start by whoever owns the number,
// in a Registry that main owns; incremented from any thread without a lock; read by anyone.
// Invariant: a reference that the Registry gave stays valid as long as the Registry.
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

// Only grows.
class Counter {
 public:
  void add(int64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// The last value told.
class Gauge {
 public:
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// Counts of observations by upper bound: bucket i holds those <= bounds[i] and above the bound
// before it; the last bucket holds the rest.
class Histogram {
 public:
  explicit Histogram(std::vector<int64_t> bounds);  // ascending

  void observe(int64_t value);

  int64_t count() const;
  int64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  const std::vector<int64_t>& bounds() const { return bounds_; }
  std::vector<int64_t> buckets() const;  // bounds + 1 counts, not cumulative
  // The upper bound of the bucket where the fraction `share` (0..1) of all observations is
  // reached; 0 without observations, the last bound for what lies above it.
  int64_t quantile(double share) const;

 private:
  const std::vector<int64_t> bounds_;
  std::vector<std::atomic<int64_t>> buckets_;
  std::atomic<int64_t> sum_ = 0;
};

// n bounds from `first`, each twice the one before it.
std::vector<int64_t> doubling_bounds(int64_t first, int n);

class Registry {
 public:
  // Names are `snake_case` with the unit last ("step_us"); the same name twice is our bug (CHECK).
  Counter& counter(const std::string& name, const std::string& help);
  Gauge& gauge(const std::string& name, const std::string& help);
  Histogram& histogram(const std::string& name,
                       const std::string& help,
                       std::vector<int64_t> bounds);

  // In order of registration. `metric` points into the Registry.
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

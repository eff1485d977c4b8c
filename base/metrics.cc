#include "base/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace trireme {

Histogram::Histogram(std::vector<int64_t> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size() + 1) {
  CHECK(!bounds_.empty() && std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::observe(int64_t value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<int64_t> Histogram::buckets() const {
  std::vector<int64_t> counts;
  for (const auto& bucket : buckets_) counts.push_back(bucket.load(std::memory_order_relaxed));
  return counts;
}

int64_t Histogram::count() const {
  int64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  return total;
}

int64_t Histogram::quantile(double share) const {
  const std::vector<int64_t> counts = buckets();
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  if (total == 0) return 0;
  const auto wanted =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(share * static_cast<double>(total))));
  int64_t seen = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    seen += counts[i];
    if (seen >= wanted) return bounds_[i];
  }
  return bounds_.back();
}

std::vector<int64_t> doubling_bounds(int64_t first, int n) {
  std::vector<int64_t> bounds;
  for (int i = 0; i < n; ++i) bounds.push_back(first << i);
  return bounds;
}

void Registry::enter(Entry entry) {
  for (const Entry& known : entries_) CHECK_THAT(known.name != entry.name, entry.name.c_str());
  entries_.push_back(std::move(entry));
}

Counter& Registry::counter(const std::string& name, const std::string& help) {
  const std::lock_guard lock(mutex_);
  Counter& counter = counters_.emplace_back();
  enter({name, help, &counter});
  return counter;
}

Gauge& Registry::gauge(const std::string& name, const std::string& help) {
  const std::lock_guard lock(mutex_);
  Gauge& gauge = gauges_.emplace_back();
  enter({name, help, &gauge});
  return gauge;
}

Histogram& Registry::histogram(const std::string& name,
                               const std::string& help,
                               std::vector<int64_t> bounds) {
  const std::lock_guard lock(mutex_);
  Histogram& histogram = histograms_.emplace_back(std::move(bounds));
  enter({name, help, &histogram});
  return histogram;
}

std::vector<Registry::Entry> Registry::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace trireme

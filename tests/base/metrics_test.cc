#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace trireme {
namespace metrics_test {

TEST(Metrics, AnObservationIsCountedInTheFirstBucketWhoseBoundIsNotBelowIt) {
  Histogram histogram({10, 20});
  for (const int64_t value : {0, 10, 11, 20, 21, 1000}) histogram.observe(value);
  EXPECT_EQ(histogram.buckets(), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_EQ(histogram.count(), 6);
  EXPECT_EQ(histogram.sum(), 1062);
}

TEST(Metrics, AQuantileIsTheUpperBoundOfItsBucket) {
  Histogram histogram({1, 2, 4, 8});
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (const int64_t value : {1, 2, 2, 3, 3, 3, 3, 3, 3, 9}) histogram.observe(value);
  EXPECT_EQ(histogram.quantile(0), 1);
  EXPECT_EQ(histogram.quantile(0.3), 2);
  EXPECT_EQ(histogram.quantile(0.5), 4);
  EXPECT_EQ(histogram.quantile(1), 8);
}

TEST(Metrics, BoundsDouble) {
  EXPECT_EQ(doubling_bounds(50, 3), (std::vector<int64_t>{50, 100, 200}));
}

TEST(Metrics, IncrementsOfSeveralThreadsAreAllCounted) {
  Registry registry;
  Counter& counter = registry.counter("frames", "frames received");
  Histogram& histogram = registry.histogram("step_us", "length of a step", {1, 2});
  const auto work = [&] {
    for (int i = 0; i < 10'000; ++i) {
      counter.add();
      histogram.observe(i % 3);
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  EXPECT_EQ(counter.value(), 20'000);
  EXPECT_EQ(histogram.count(), 20'000);
}

TEST(Metrics, AReferenceOutlivesLaterRegistrations) {
  Registry registry;
  Counter& first = registry.counter("first", "");
  for (int i = 0; i < 1000; ++i) registry.counter(std::to_string(i), "");
  registry.gauge("free_pages", "pages nobody holds").set(7);
  first.add(3);
  const auto entries = registry.entries();
  ASSERT_EQ(entries.size(), 1002u);
  EXPECT_EQ(std::get<const Counter*>(entries.front().metric)->value(), 3);
  EXPECT_EQ(std::get<const Gauge*>(entries.back().metric)->value(), 7);
}

TEST(MetricsDeathTest, RegisteringANameTwiceAborts) {
  Registry registry;
  registry.counter("frames", "");
  EXPECT_DEATH(registry.gauge("frames", ""), "CHECK failed.*frames");
}

}  // namespace metrics_test
}  // namespace trireme

#include <gtest/gtest.h>

#include "tests/simulation/simulation_runs.h"

namespace trireme {
namespace {

#ifdef TRIREME_LONG_RUN
constexpr uint64_t kSeeds = 20'000;
#else
constexpr uint64_t kSeeds = 1'000;
#endif

TEST(Simulation, NothingIsLostDoubledOrChangedUnderFaults) {
  int64_t preemptions = 0;
  int64_t cached = 0;
  int64_t faults = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const RunReport report = run_seed(seed);
    ASSERT_EQ(report.failure, "") << "seed " << seed;
    preemptions += report.preemptions;
    cached += report.cached_tokens;
    faults += report.faults;
  }
  // The runs must reach faults, preemptions and cache hits, or they test nothing.
  EXPECT_GT(preemptions, static_cast<int64_t>(kSeeds / 4));
  EXPECT_GT(cached, static_cast<int64_t>(kSeeds));
  EXPECT_GT(faults, static_cast<int64_t>(kSeeds));
  std::printf("%lld seeds, %lld faults, %lld preemptions, %lld cached tokens\n",
              static_cast<long long>(kSeeds),
              static_cast<long long>(faults),
              static_cast<long long>(preemptions),
              static_cast<long long>(cached));
}

TEST(Simulation, ASeedReplaysBitForBit) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(run_seed(seed).trace_hash, run_seed(seed).trace_hash) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trireme

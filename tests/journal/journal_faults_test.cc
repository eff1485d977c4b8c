#include "tests/journal/journal_faults.h"

#include <gtest/gtest.h>

#include "tests/sanitized.h"

namespace trireme::journal {
namespace journal_faults_test {

// Together 10,000; under AddressSanitizer 2,000.
constexpr uint64_t kCases = (is_sanitized() ? 2'000 : 10'000) / kNumFaults + 1;

// Number of cases in which something was noticed.
uint64_t run_cases(const std::string& kind) {
  uint64_t noticed = 0;
  uint64_t first = 0;
  while (first < kNumFaults && run_fault_case(first).kind != kind) ++first;
  for (uint64_t i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    const uint64_t seed = first + i * kNumFaults;
    const FaultCase fault = run_fault_case(seed);
    noticed += fault.is_noticed;
    EXPECT_EQ(fault.kind, kind);
    EXPECT_EQ(fault.problem, "") << "seed " << seed;
  }
  return noticed;
}

TEST(JournalFaults, AKilledProcessLosesOnlyWhatIsNotDurable) { EXPECT_EQ(run_cases("kill"), 0u); }

TEST(JournalFaults, ALossOfPowerLosesOnlyWhatIsNotSynced) { EXPECT_GT(run_cases("power"), 0u); }

TEST(JournalFaults, ATornWriteIsCut) { EXPECT_GT(run_cases("torn"), kCases / 50); }

TEST(JournalFaults, AFlippedBitIsFoundOrMeansNothing) { EXPECT_GT(run_cases("flip"), kCases / 3); }

TEST(JournalFaults, AFullDiskLosesNothing) { EXPECT_EQ(run_cases("full"), 0u); }

TEST(JournalFaults, AFailingDiskLosesNothingThatWasDurable) { EXPECT_EQ(run_cases("fail"), 0u); }

}  // namespace journal_faults_test
}  // namespace trireme::journal

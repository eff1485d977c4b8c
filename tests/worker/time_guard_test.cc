#include "worker/comm/time_guard.h"

#include <gtest/gtest.h>

#include <future>

namespace trireme {
namespace time_guard_test {

using std::chrono::milliseconds;

TEST(TimeGuard, EndsTheProcessAndNamesTheCallThatHangs) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const TimeGuard guard("the end of rank 3", milliseconds(50));
        std::promise<void> never;
        never.get_future().wait();
      },
      testing::ExitedWithCode(3),
      "TRI-GRP-003: the end of rank 3 was not over within 0.05 s");
}

TEST(TimeGuard, IsSilentIfDestroyedInTime) {
  { const TimeGuard guard("a moment", milliseconds(60'000)); }
  SUCCEED();
}

}  // namespace time_guard_test
}  // namespace trireme

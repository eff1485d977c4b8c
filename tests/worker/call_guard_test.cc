#include "worker/comm/call_guard.h"

#include <gtest/gtest.h>

#include <future>

namespace trireme {
namespace call_guard_test {

using std::chrono::milliseconds;
using std::chrono::minutes;

Status late(const char* operation) {
  return timed_out("TRI-CUDA-013", "the test: {} did not return", operation);
}

TEST(CallGuard, ReturnsTheResultsOfCallsThatReturn) {
  CallGuard guard(minutes(1), late);
  int calls = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(guard.watch("a call", [&] { return ++calls; }), i + 1);
}

TEST(CallGuard, EndsTheProcessIfACallDoesNotReturn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto call_forever = [] {
    CallGuard guard(milliseconds(50), late);
    guard.watch("a short call", [] { return 0; });
    guard.watch("a sum", [] {
      std::promise<int> never;
      return never.get_future().get();
    });
  };
  EXPECT_EXIT(call_forever(), testing::ExitedWithCode(3), "TRI-CUDA-013: the test: a sum did not");
}

}  // namespace call_guard_test
}  // namespace trireme

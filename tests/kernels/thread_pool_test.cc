#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace trireme {
namespace {

TEST(ThreadPool, CallsEveryMemberOnceARun) {
  for (const int size : {1, 2, 5}) {
    ThreadPool pool(size);
    EXPECT_EQ(pool.size(), size);
    std::vector<int> calls(size, 0);
    for (int run = 0; run < 2000; ++run) {
      pool.run([&](int member, int num_members) {
        EXPECT_EQ(num_members, size);
        ++calls[member];
      });
    }
    EXPECT_EQ(calls, std::vector<int>(size, 2000));
  }
}

TEST(ThreadPool, ARunSeesTheWritesOfTheLastOne) {
  ThreadPool pool(3);
  std::vector<int64_t> sums(3, 0);
  for (int run = 0; run < 1000; ++run) {
    const std::vector<int64_t> before = sums;
    pool.run([&](int member, int num_members) {
      sums[member] = before[(member + 1) % num_members] + 1;
    });
  }
  EXPECT_EQ(sums, std::vector<int64_t>(3, 1000));
}

}  // namespace
}  // namespace trireme

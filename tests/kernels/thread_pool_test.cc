#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <vector>

#include "kernels/cpu_backend.h"

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

// Stacks beyond the address space stand for a limit of threads, which does not bind root.
TEST(ThreadPool, ThreadsThatCannotStartAreAnErrorAndNoException) {
  pthread_attr_t before;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge;
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, size_t{1} << 48), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  EXPECT_NE(ThreadPool(4).start_error(), 0);
  const Status status = make_cpu_backend({.num_threads = 4}).status();
  ASSERT_EQ(::pthread_setattr_default_np(&before), 0);
  EXPECT_EQ(error_id(status), "TRI-UP-042") << message_of(status);
  EXPECT_EQ(ThreadPool(4).start_error(), 0);
}

}  // namespace
}  // namespace trireme

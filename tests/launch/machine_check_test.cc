#include "launch/checks/machine_check.h"

#include <gtest/gtest.h>

#include "base/host_info.h"

namespace trireme {
namespace machine_check_test {

ClusterFlags flags_of(int tp, int groups, int threads) {
  ClusterFlags flags;
  flags.tp = tp;
  flags.groups = groups;
  flags.threads = threads;
  return flags;
}

TEST(ThreadsOfCluster, CountTheKernelPoolOfEveryRank) {
  const int without = threads_of_cluster(flags_of(2, 3, 20), "cuda");
  EXPECT_EQ(threads_of_cluster(flags_of(2, 3, 1), "cpu"), without);
  EXPECT_EQ(threads_of_cluster(flags_of(2, 3, 20), "cpu"), without + 6 * 19);
  EXPECT_EQ(threads_of_cluster(flags_of(2, 3, 20), "auto"), without);
}

TEST(ThreadsOfCluster, CountAPoolOfTheDefaultSize) {
  EXPECT_EQ(threads_of_cluster(flags_of(2, 1, 0), "cpu"),
            threads_of_cluster(flags_of(2, 1, usable_core_count(2)), "cpu"));
}

}  // namespace machine_check_test
}  // namespace trireme

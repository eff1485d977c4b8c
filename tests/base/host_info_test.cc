#include "base/host_info.h"

#include <gtest/gtest.h>

namespace trireme {
namespace host_info_test {

TEST(HostInfo, AQuotaIsRoundedDownToWholeCoresAndIsAtLeastOne) {
  EXPECT_EQ(cores_within_quota(8, "150000 100000"), 1);
  EXPECT_EQ(cores_within_quota(8, "50000 100000"), 1);
  EXPECT_EQ(cores_within_quota(8, "300000 100000"), 3);
  EXPECT_EQ(cores_within_quota(2, "300000 100000"), 2);
}

TEST(HostInfo, NoQuotaLeavesTheAffinity) {
  EXPECT_EQ(cores_within_quota(8, "max 100000"), 8);
  EXPECT_EQ(cores_within_quota(8, ""), 8);
  EXPECT_EQ(cores_within_quota(8, "150000 0"), 8);
}

TEST(HostInfo, ProcessesShareTheHostButAnAffinityIsNotDividedAgain) {
  EXPECT_EQ(share_of_cores(32, 32, "max 100000", 4), 8);
  EXPECT_EQ(share_of_cores(32, 8, "max 100000", 4), 8);  // pinned by the launcher
  EXPECT_EQ(share_of_cores(32, 2, "max 100000", 4), 2);
  EXPECT_EQ(share_of_cores(32, 32, "400000 100000", 4), 1);
  EXPECT_EQ(share_of_cores(2, 2, "", 16), 1);
}

TEST(HostInfo, ThisHostHasACoreAndMemory) {
  EXPECT_GE(usable_core_count(), 1);
  EXPECT_GT(usable_memory_bytes(), 0);
  EXPECT_FALSE(host_name().empty());
}

}  // namespace host_info_test
}  // namespace trireme

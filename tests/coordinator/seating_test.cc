#include "coordinator/doors/ranks/seating.h"

#include <gtest/gtest.h>

namespace trireme {
namespace seating_test {

constexpr int32_t kGroups = 2;

Introduction rank_of(int32_t rank, int32_t tp = 2, int32_t pp = 2) {
  return {0, rank, tp, pp, format_text("host{}", rank), 100 + rank};
}

std::string refusal(const Introduction& who, const std::vector<Introduction>& seated = {}) {
  return error_id(check_seat(who, kGroups, seated));
}

TEST(Seating, TheFirstRankOfAGroupDecidesItsShape) {
  EXPECT_EQ(refusal(rank_of(3)), "");
  EXPECT_EQ(refusal(rank_of(1), {rank_of(0)}), "");
  EXPECT_EQ(refusal(rank_of(1, 4, 1), {rank_of(0)}), "TRI-GRP-045");
}

TEST(Seating, AGroupOutsideTheClusterIsRefused) {
  Introduction who = rank_of(0);
  for (const int32_t group : {-1, kGroups}) {
    who.group = group;
    EXPECT_EQ(refusal(who), "TRI-GRP-042");
  }
}

TEST(Seating, ARankOutsideItsShapeIsRefused) {
  EXPECT_EQ(refusal(rank_of(4)), "TRI-GRP-043");
  EXPECT_EQ(refusal(rank_of(0, 0, 2)), "TRI-GRP-043");
  EXPECT_EQ(refusal(rank_of(0, 2, 0)), "TRI-GRP-043");
  EXPECT_EQ(refusal(rank_of(0, 1024, 1)), "");
  EXPECT_EQ(refusal(rank_of(0, 1024, 2)), "TRI-GRP-043");
}

TEST(Seating, ARankThatIsThereAlreadyIsRefusedWithTheOthersHostAndProcess) {
  const Status status = check_seat(rank_of(1), kGroups, {rank_of(0), rank_of(1)});
  EXPECT_EQ(error_id(status), "TRI-GRP-044");
  EXPECT_NE(message_of(status).find("(host1, process 101)"), std::string::npos);
}

}  // namespace seating_test
}  // namespace trireme

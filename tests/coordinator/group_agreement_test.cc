#include "coordinator/doors/ranks/group_agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace group_agreement_test {

using testing::HasSubstr;

RankHello gpu_rank(int32_t rank) {
  RankHello hello;
  hello.rank = rank;
  hello.host = "node1";
  hello.tp = 2;
  hello.fingerprint = "f00d";
  hello.dtype = "float16";
  hello.backend = "cuda";
  hello.isa = "sm_90a";
  hello.invariant = false;
  hello.kv_layout = {.version = 2, .dtype = "float16", .page_tokens = 64, .head_dim = 128};
  hello.pages = 100 + rank;
  hello.max_slots = 8;
  hello.max_batched_tokens = 8192;
  hello.max_model_len = 4096;
  hello.token_buckets = {1, 2, 4, 8};
  hello.row_buckets = {1, 8};
  return hello;
}

Status agreement_of(const RankHello& a, const RankHello& b) {
  return check_agreement({&a, &b}, "f00d");
}

TEST(GroupAgreement, TheShapeOfAGroupFollowsFromItsHellos) {
  const RankHello first = gpu_rank(0);
  const RankHello second = gpu_rank(1);
  ASSERT_TRUE(agreement_of(first, second).ok());
  const GroupShape shape = shape_of({&first, &second});
  EXPECT_EQ(shape.num_pages, 100);
  EXPECT_EQ(shape.page_tokens, 64);
  EXPECT_EQ(shape.max_model_len, 4096);
  EXPECT_FALSE(shape.invariant);
  EXPECT_EQ(shape.token_buckets, first.token_buckets);
  EXPECT_EQ(shape.row_buckets, first.row_buckets);
}

TEST(GroupAgreement, RanksThatDifferInOneFieldOfTheDeviceAreNamed) {
  const struct {
    const char* field;
    void (*change)(RankHello&);
  } cases[] = {
      {"backend", [](RankHello& hello) { hello.backend = "cpu"; }},
      {"isa", [](RankHello& hello) { hello.isa = "sm_80"; }},
      {"invariant", [](RankHello& hello) { hello.invariant = true; }},
      {"kv_layout", [](RankHello& hello) { hello.kv_layout.page_tokens = 32; }},
      {"max_batched_tokens", [](RankHello& hello) { hello.max_batched_tokens = 512; }},
      {"token_buckets", [](RankHello& hello) { hello.token_buckets.pop_back(); }},
      {"row_buckets",
       [](RankHello& hello) {
         hello.row_buckets = {1, 2, 8};
       }},
  };
  for (const auto& each : cases) {
    RankHello other = gpu_rank(1);
    each.change(other);
    const Status status = agreement_of(gpu_rank(0), other);
    EXPECT_EQ(error_id(status), "TRI-GRP-045") << each.field;
    EXPECT_THAT(message_of(status), HasSubstr(format_text("says {} is ", each.field)));
    EXPECT_THAT(message_of(status), HasSubstr("rank 1 (node1)"));
  }
}

TEST(GroupAgreement, BucketsAscend) {
  RankHello hello = gpu_rank(0);
  hello.row_buckets = {8, 1};
  const Status status = agreement_of(hello, hello);
  EXPECT_EQ(error_id(status), "TRI-GRP-052");
  EXPECT_THAT(message_of(status), HasSubstr("8, 1"));
}

}  // namespace group_agreement_test
}  // namespace trireme

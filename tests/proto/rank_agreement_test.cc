#include "proto/rank_agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace rank_agreement_test {

using testing::HasSubstr;

RankHello hello_of(int32_t rank, const char* host) {
  RankHello hello;
  hello.rank = rank;
  hello.host = host;
  return hello;
}

TEST(RankAgreement, RankHostProcessAndPagesMayDiffer) {
  RankHello other = hello_of(3, "node2");
  other.pid = 17;
  other.pages = 5;
  EXPECT_TRUE(check_same_terms(hello_of(0, "node1"), other).ok());
}

TEST(RankAgreement, EveryOtherFieldThatDiffersIsNamedWithRanksAndValues) {
  const struct {
    const char* name;
    const char* value;
    void (*change)(RankHello&);
  } cases[] = {
      {"tp x pp is 1 x 1", "2 x 1", [](RankHello& hello) { hello.tp = 2; }},
      {"tp x pp is 1 x 1", "1 x 2", [](RankHello& hello) { hello.pp = 2; }},
      {"fingerprint", "beef", [](RankHello& hello) { hello.fingerprint = "beef"; }},
      {"dtype", "float16", [](RankHello& hello) { hello.dtype = "float16"; }},
      {"quantization", "int8", [](RankHello& hello) { hello.quantization = "int8"; }},
      {"invariant is on", "off", [](RankHello& hello) { hello.invariant = false; }},
      {"backend", "cuda", [](RankHello& hello) { hello.backend = "cuda"; }},
      {"isa", "avx2", [](RankHello& hello) { hello.isa = "avx2"; }},
      {"kv_layout", "version 9", [](RankHello& hello) { hello.kv_layout.version = 9; }},
      {"kv_layout", "float16 pages", [](RankHello& hello) { hello.kv_layout.dtype = "float16"; }},
      {"kv_layout", "of 64 tokens", [](RankHello& hello) { hello.kv_layout.page_tokens = 64; }},
      {"kv_layout", "head_dim 128", [](RankHello& hello) { hello.kv_layout.head_dim = 128; }},
      {"kv_layout", "unit 4", [](RankHello& hello) { hello.kv_layout.unit = 4; }},
      {"kv_layout", "v order 1", [](RankHello& hello) { hello.kv_layout.v_order = 1; }},
      {"kv_layout", "scales 2", [](RankHello& hello) { hello.kv_layout.scale_bytes = 2; }},
      {"max_slots is 0", "8", [](RankHello& hello) { hello.max_slots = 8; }},
      {"max_batched_tokens is 0", "512", [](RankHello& hello) { hello.max_batched_tokens = 512; }},
      {"max_model_len is 0", "64", [](RankHello& hello) { hello.max_model_len = 64; }},
      {"token_buckets",
       "1, 2",
       [](RankHello& hello) {
         hello.token_buckets = {1, 2};
       }},
      {"row_buckets", "4", [](RankHello& hello) { hello.row_buckets = {4}; }},
  };
  for (const auto& each : cases) {
    RankHello other = hello_of(1, "node2");
    each.change(other);
    const Status status = check_same_terms(hello_of(0, "node1"), other);
    EXPECT_EQ(error_id(status), "TRI-GRP-045") << each.name;
    EXPECT_THAT(message_of(status), HasSubstr(format_text("rank 0 (node1) says {}", each.name)));
    EXPECT_THAT(message_of(status), HasSubstr("rank 1 (node2) says "));
    EXPECT_THAT(message_of(status), HasSubstr(each.value));
  }
}

}  // namespace rank_agreement_test
}  // namespace trireme

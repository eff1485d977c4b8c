#include "clients/cli/sampling_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trireme {
namespace sampling_flags_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using Json = nlohmann::ordered_json;

StatusOr<door::Sampling> from_flags(const std::vector<std::string>& arguments) {
  door::Sampling sampling;
  FlagSet flags("test");
  add_sampling_flags(flags, sampling);
  ASSIGN_OR_RETURN(const auto rest, flags.parse(arguments));
  return sampling;
}

TEST(SamplingFlags, UnsetValuesAreLeftToTheModel) {
  const auto sampling = from_flags({});
  ASSERT_TRUE(sampling.ok());
  EXPECT_EQ(*sampling, door::Sampling());
}

TEST(SamplingFlags, EveryFlagSetsItsField) {
  const auto sampling = from_flags({"--max-tokens",
                                    "9",
                                    "--min-tokens=2",
                                    "--temperature",
                                    "0.5",
                                    "--top-k",
                                    "40",
                                    "--top-p",
                                    "0.9",
                                    "--min-p",
                                    "0.1",
                                    "--repetition-penalty",
                                    "1.1",
                                    "--presence-penalty",
                                    "-1",
                                    "--frequency-penalty",
                                    "2",
                                    "--logit-bias",
                                    "12:1.5,40:-100",
                                    "--stop",
                                    "a",
                                    "--stop",
                                    "b,c",
                                    "--stop-token-ids",
                                    "2,3",
                                    "--ignore-eos",
                                    "--seed",
                                    "18446744073709551615",
                                    "--n",
                                    "3",
                                    "--logprobs",
                                    "0",
                                    "--prompt-logprobs",
                                    "5",
                                    "--skip-special-tokens",
                                    "false",
                                    "--include-stop-str-in-output",
                                    "--echo"});
  ASSERT_TRUE(sampling.ok()) << message_of(sampling.status());
  EXPECT_EQ(sampling->max_tokens, 9);
  EXPECT_EQ(sampling->min_tokens, 2);
  EXPECT_EQ(sampling->temperature, 0.5f);
  EXPECT_EQ(sampling->top_k, 40);
  EXPECT_EQ(sampling->top_p, 0.9f);
  EXPECT_EQ(sampling->min_p, 0.1f);
  EXPECT_EQ(sampling->repetition_penalty, 1.1f);
  EXPECT_EQ(sampling->presence_penalty, -1.f);
  EXPECT_EQ(sampling->frequency_penalty, 2.f);
  EXPECT_THAT(sampling->logit_bias, ElementsAre(Pair(12, 1.5f), Pair(40, -100.f)));
  EXPECT_THAT(sampling->stop, ElementsAre("a", "b,c"));
  EXPECT_THAT(sampling->stop_token_ids, ElementsAre(2, 3));
  EXPECT_TRUE(sampling->ignore_eos);
  EXPECT_EQ(sampling->seed, UINT64_MAX);
  EXPECT_EQ(sampling->n, 3);
  EXPECT_EQ(sampling->logprobs, 0);
  EXPECT_EQ(sampling->prompt_logprobs, 5);
  EXPECT_EQ(sampling->skip_special_tokens, false);
  EXPECT_TRUE(sampling->include_stop_str_in_output);
  EXPECT_TRUE(sampling->echo);
}

TEST(SamplingFlags, AValueThatIsNotANumberIsRejected) {
  for (const auto& [flag, value] : {std::pair("--max-tokens", "many"),
                                    {"--max-tokens", "8.5"},
                                    {"--temperature", "1,5"},
                                    {"--temperature", ""},
                                    {"--logit-bias", "12"},
                                    {"--logit-bias", "x:1"},
                                    {"--stop-token-ids", "2;3"},
                                    {"--skip-special-tokens=maybe", "x"}}) {
    EXPECT_EQ(error_id(from_flags({flag, value}).status()), "TRI-ARGS-003") << flag << " " << value;
  }
}

TEST(SamplingFlags, ANumberOutOfRangeIsRefusedWithTheRange) {
  const struct {
    const char* flag;
    const char* value;
    const char* words;
  } cases[] = {
      {"--max-tokens", "2147483648", "max_tokens is 2147483648, allowed are 1 to 16777216"},
      {"--max-tokens", "-1", "max_tokens is -1, allowed are 1 to 16777216"},
      {"--max-tokens", "1e30", "max_tokens is 1e+30, allowed are"},
      {"--seed", "-1", "seed is -1, allowed are 0 to 18446744073709551615 (leave it out"},
      {"--seed", "18446744073709551616", "seed is 18446744073709551616, allowed are"},
      {"--temperature", "nan", "temperature is nan, allowed are 0 (greedy) to 100"},
      {"--temperature", "inf", "temperature is inf, allowed are"},
      {"--temperature", "1e400", "temperature is inf, allowed are 0 (greedy) to 100"},
      {"--top-p", "1e-400", "top_p is 0, allowed are above 0"},
      {"--top-p", "1e-60", "top_p is 1e-60, allowed are above 0"},
      {"--logit-bias", "5:-1e400", "logit_bias is -inf, allowed are -10000 to 10000"},
      {"--top-p", "1.0000001", "top_p is 1.0000001, allowed are above 0 to 1 (off)"},
      {"--top-p", "0", "top_p is 0, allowed are above 0"},
      {"--presence-penalty", "1e39", "presence_penalty is 1e+39, allowed are -100 to 100"},
      {"--logit-bias", "5:1e9", "logit_bias is 1000000000, allowed are -10000 to 10000"},
  };
  for (const auto& one : cases) {
    const Status status = from_flags({one.flag, one.value}).status();
    EXPECT_EQ(error_id(status), "TRI-REQ-001") << one.flag << " " << one.value;
    EXPECT_THAT(message_of(status), HasSubstr(std::string(one.flag) + ": " + one.words));
  }
  for (const char* bias : {"-1:1", "2147483648:1"}) {
    EXPECT_THAT(message_of(from_flags({"--logit-bias", bias}).status()),
                HasSubstr("allowed are ids from 0 to 2147483647"));
  }
}

TEST(SamplingFlags, AWholeNumberMayHaveAPointOrAnExponent) {
  const auto sampling = from_flags({"--max-tokens", "8.0", "--seed", "1e3", "--top-k", "4e1"});
  ASSERT_TRUE(sampling.ok()) << message_of(sampling.status());
  EXPECT_EQ(sampling->max_tokens, 8);
  EXPECT_EQ(sampling->seed, 1000u);
  EXPECT_EQ(sampling->top_k, 40);
}

TEST(SamplingFlags, SpecialTokensAreKeptInEverySpellingOfASwitch) {
  using Spelling = std::vector<std::string>;
  for (const Spelling& off : {Spelling{"--no-skip-special-tokens", "--echo"},
                              {"--skip-special-tokens=false", "--echo"},
                              {"--skip-special-tokens", "false", "--echo"}}) {
    const auto sampling = from_flags(off);
    ASSERT_TRUE(sampling.ok()) << message_of(sampling.status());
    EXPECT_EQ(sampling->skip_special_tokens, false);
    EXPECT_TRUE(sampling->echo);
  }
  for (const Spelling& on :
       {Spelling{"--skip-special-tokens", "--echo"}, {"--skip-special-tokens", "true", "--echo"}}) {
    const auto sampling = from_flags(on);
    ASSERT_TRUE(sampling.ok()) << message_of(sampling.status());
    EXPECT_EQ(sampling->skip_special_tokens, true);
    EXPECT_TRUE(sampling->echo);
  }
}

TEST(SamplingFields, ALineOverridesASwitchOfTheFlags) {
  door::Sampling sampling;
  sampling.skip_special_tokens = false;
  Json json = {{"skip_special_tokens", true}};
  ASSERT_TRUE(read_sampling(json, sampling).ok());
  EXPECT_EQ(sampling.skip_special_tokens, true);
}

TEST(SamplingFields, ALineOverridesTheFlagsAndItsFieldsAreRemoved) {
  door::Sampling sampling;
  sampling.max_tokens = 256;
  sampling.temperature = 1;
  sampling.stop = {"old"};
  Json json = Json::parse(R"({"temperature": 0, "stop": ["x", "y"], "stop_token_ids": [7],
      "logit_bias": {"12": -1}, "ignore_eos": true, "seed": 5, "other": 1})");
  ASSERT_TRUE(read_sampling(json, sampling).ok());
  EXPECT_EQ(sampling.temperature, 0.f);
  EXPECT_EQ(sampling.max_tokens, 256);
  EXPECT_THAT(sampling.stop, ElementsAre("x", "y"));
  EXPECT_THAT(sampling.stop_token_ids, ElementsAre(7));
  EXPECT_THAT(sampling.logit_bias, ElementsAre(Pair(12, -1.f)));
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_EQ(sampling.seed, 5u);
  EXPECT_EQ(json, Json({{"other", 1}}));
}

TEST(SamplingFields, AStopStringMayStandWithoutAListAndNullMeansAbsent) {
  door::Sampling sampling;
  Json json = {{"stop", "end"}, {"temperature", nullptr}};
  ASSERT_TRUE(read_sampling(json, sampling).ok());
  EXPECT_THAT(sampling.stop, ElementsAre("end"));
  EXPECT_EQ(sampling.temperature, std::nullopt);
  EXPECT_THAT(json, IsEmpty());
}

TEST(SamplingFields, AFieldOfTheWrongTypeIsNamedWithItsValue) {
  for (const char* field : {R"("temperature": "hot")",
                            R"("max_tokens": 1.5)",
                            R"("max_tokens": true)",
                            R"("seed": 0.5)",
                            R"("ignore_eos": 1)",
                            R"("stop": [1])",
                            R"("stop_token_ids": 2)",
                            R"("logit_bias": [[1, 2]])"}) {
    door::Sampling sampling;
    Json json = Json::parse(std::string("{") + field + "}");
    const std::string value = json.begin()->dump();
    const Status status = read_sampling(json, sampling);
    EXPECT_EQ(error_id(status), "TRI-RUN-020") << field;
    EXPECT_THAT(message_of(status), HasSubstr(value)) << field;
  }
}

std::string field_refusal(const std::string& field) {
  door::Sampling sampling;
  Json json = Json::parse("{" + field + "}");
  return message_of(read_sampling(json, sampling));
}

TEST(SamplingFields, ANumberOutOfRangeIsRefusedWithTheRange) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("max_tokens": 2147483648)", "max_tokens is 2147483648, allowed are 1 to 16777216"},
      {R"("max_tokens": 18446744073709551615)", "max_tokens is 18446744073709551615, allowed"},
      {R"("max_tokens": 0)", "max_tokens is 0, allowed are 1 to 16777216"},
      {R"("min_tokens": -1)", "min_tokens is -1, allowed are 0 to max_tokens"},
      {R"("top_k": 4294967296)", "top_k is 4294967296, allowed are 0 (off) to 2147483647"},
      {R"("n": 65)", "n is 65, allowed are 1 to 64"},
      {R"("logprobs": 18446744073709551615)", "allowed are 0 to 20"},
      {R"("prompt_logprobs": 21)", "prompt_logprobs is 21, allowed are 0 to 20"},
      {R"("seed": -1)", "seed is -1, allowed are 0 to 18446744073709551615 (leave it out for"},
      {R"("seed": 18446744073709551616)", "seed is 18446744073709551616, allowed are 0 to"},
      {R"("top_p": 1e-60)", "top_p is 1e-60, allowed are above 0 to 1"},
      {R"("top_p": 1.0000001)", "top_p is 1.0000001, allowed are above 0 to 1"},
      {R"("top_p": 1.00000000000001)", "top_p is 1.00000000000001, allowed are above 0 to 1"},
      {R"("temperature": 1e300)", "temperature is 1e+300, allowed are 0 (greedy) to 100"},
      {R"("repetition_penalty": 0.009)", "repetition_penalty is 0.009, allowed are 0.01 to 100"},
      {R"("logit_bias": {"5": 10001})", "logit_bias is 10001, allowed are -10000 to 10000"},
  };
  for (const auto& [field, words] : cases) {
    EXPECT_THAT(field_refusal(field), testing::StartsWith("TRI-REQ-001: ")) << field;
    EXPECT_THAT(field_refusal(field), HasSubstr(words)) << field;
  }
}

TEST(SamplingFields, AWholeNumberIsAskedForByNameAndMayEndInPointZero) {
  door::Sampling sampling;
  Json json = Json::parse(R"({"max_tokens": 8.0, "seed": 1e3, "logprobs": 2.0,
      "stop_token_ids": [8.0], "logit_bias": {"7": 1}, "repetition_penalty": 0.01})");
  const Status status = read_sampling(json, sampling);
  ASSERT_TRUE(status.ok()) << message_of(status);
  EXPECT_EQ(sampling.max_tokens, 8);
  EXPECT_EQ(sampling.seed, 1000u);
  EXPECT_EQ(sampling.logprobs, 2);
  EXPECT_THAT(sampling.stop_token_ids, ElementsAre(8));
  EXPECT_TRUE(check_sampling(sampling, 0).ok());
  EXPECT_EQ(field_refusal(R"("max_tokens": 8.5)"),
            "TRI-RUN-020: max_tokens is 8.5, it has to be a whole number");
  EXPECT_EQ(field_refusal(R"("seed": 0.5)"),
            "TRI-RUN-020: seed is 0.5, it has to be a whole number");
}

TEST(SamplingFields, AListOfIdsNamesTheWrongOne) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("stop_token_ids": [1, -2])", "stop_token_ids holds -2, allowed are ids from 0"},
      {R"("stop_token_ids": [2147483648])", "holds 2147483648, allowed are ids from 0"},
      {R"("stop_token_ids": [18446744073709551615])", "holds 18446744073709551615"},
      {R"("stop_token_ids": ["2"])", "holds \"2\", allowed are token ids"},
      {R"("stop_token_ids": [[2]])", "holds [2], allowed are token ids"},
      {R"("stop_token_ids": [1.5])", "holds 1.5, allowed are token ids"},
      {R"("logit_bias": {"a": 2})", "logit_bias holds \"a\", allowed are token ids"},
      {R"("logit_bias": {"-1": 2})", "logit_bias holds -1, allowed are ids from 0"},
      {R"("logit_bias": {"1": "x"})", "logit_bias is \"x\", it has to be a number"},
  };
  for (const auto& [field, words] : cases) {
    EXPECT_THAT(field_refusal(field), testing::StartsWith("TRI-RUN-020: ")) << field;
    EXPECT_THAT(field_refusal(field), HasSubstr(words)) << field;
  }
}

TEST(Priority, ComesFromItsFlagAndALineOverridesIt) {
  door::Submit submit;
  FlagSet flags("test");
  add_priority_flag(flags, submit);
  ASSERT_TRUE(flags.parse({"--priority", "-2"}).ok());
  EXPECT_EQ(submit.priority, -2);
  Json line = Json::parse(R"({"seed": 1})");
  ASSERT_TRUE(read_priority(line, submit).ok());
  EXPECT_EQ(submit.priority, -2);
  line = Json::parse(R"({"priority": 7, "seed": 1})");
  ASSERT_TRUE(read_priority(line, submit).ok());
  EXPECT_EQ(submit.priority, 7);
  EXPECT_EQ(line, Json::parse(R"({"seed": 1})"));
  for (const char* wrong : {R"("high")", "1.5", "18446744073709551615", "2147483648"}) {
    line["priority"] = Json::parse(wrong);
    EXPECT_EQ(error_id(read_priority(line, submit)), "TRI-RUN-020") << wrong;
  }
  line = Json::parse(R"({"priority": -2147483648})");
  ASSERT_TRUE(read_priority(line, submit).ok());
  EXPECT_EQ(submit.priority, std::numeric_limits<int32_t>::min());
}

TEST(SamplingRanges, AreThoseOfSamplingParameters) {
  const auto refused = [](auto set, int64_t vocabulary_size = 0) {
    door::Sampling sampling;
    set(sampling);
    return error_id(check_sampling(sampling, vocabulary_size));
  };
  EXPECT_EQ(refused([](auto&) {}), "");
  door::Sampling negative;
  negative.prompt_logprobs = -1;
  EXPECT_THAT(message_of(check_sampling(negative, 0)), HasSubstr("prompt_logprobs is -1"));
  EXPECT_EQ(refused([](auto& s) { s.temperature = -1; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.top_p = 1.5; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.n = 0; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.logprobs = -1; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.logprobs = 20; }), "");
  EXPECT_EQ(refused([](auto& s) { s.logprobs = 21; }), "TRI-REQ-001");
  EXPECT_EQ(refused([](auto& s) { s.stop_token_ids = {500}; }), "");
  EXPECT_EQ(refused([](auto& s) { s.stop_token_ids = {500}; }, 500), "TRI-REQ-001");
}

}  // namespace sampling_flags_test
}  // namespace trireme

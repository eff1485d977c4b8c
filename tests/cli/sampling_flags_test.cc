#include "clients/cli/sampling_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trireme {
namespace {

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
                                    {"--max-tokens", "9999999999"},
                                    {"--temperature", "1,5"},
                                    {"--seed", "-1"},
                                    {"--logit-bias", "12"},
                                    {"--logit-bias", "x:1"},
                                    {"--stop-token-ids", "2;3"},
                                    {"--skip-special-tokens=maybe", "x"}}) {
    EXPECT_EQ(error_id(from_flags({flag, value}).status()), "TRI-ARGS-003") << flag << " " << value;
  }
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
                            R"("max_tokens": 4294967296)",
                            R"("seed": -1)",
                            R"("ignore_eos": 1)",
                            R"("stop": [1])",
                            R"("stop_token_ids": 2)",
                            R"("stop_token_ids": [-2])",
                            R"("logit_bias": [[1, 2]])",
                            R"("logit_bias": {"a": 2})"}) {
    door::Sampling sampling;
    Json json = Json::parse(std::string("{") + field + "}");
    const std::string value = json.begin()->dump();
    const Status status = read_sampling(json, sampling);
    EXPECT_EQ(error_id(status), "TRI-RUN-020") << field;
    EXPECT_THAT(message_of(status), HasSubstr(value)) << field;
  }
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

}  // namespace
}  // namespace trireme

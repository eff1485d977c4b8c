// The text of an answer: stop strings, end ids, echo.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/tokenizer/tokenizer.h"
#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_text_test {

std::unique_ptr<const Tokenizer> demo_tokenizer() {
  return Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json").value();
}

// Ids whose text is plain ASCII, so that stop strings can be cut out of an answer.
SubmitRequest with_readable_answer(const Tokenizer& tokenizer, int32_t count) {
  for (uint64_t seed = 0;; ++seed) {
    SubmitRequest submit = prompt_of(5, count, seed);
    bool readable = true;
    for (const TokenId id : alone(submit, count)) {
      const std::string bytes = tokenizer.bytes_of(id);
      readable = readable && bytes.size() >= 2 && !tokenizer.is_special(id) &&
                 std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
    }
    if (readable) return submit;
  }
}

TEST(EngineText, AStopStringOverSeveralTokensEndsTheTextBeforeIt) {
  const auto tokenizer = demo_tokenizer();
  const SubmitRequest plain = with_readable_answer(*tokenizer, 12);
  const std::vector<TokenId> ids = alone(plain, 12);
  const std::string text = tokenizer->decode(ids, true);
  size_t begin = 0;  // from the middle of token 5 to the middle of token 6
  for (int i = 0; i < 5; ++i) begin += tokenizer->bytes_of(ids[i]).size();
  const std::string stop = text.substr(begin + 1, tokenizer->bytes_of(ids[5]).size());
  ASSERT_LT(text.find(stop), text.size());
  for (const bool include : {false, true}) {
    SimulatedCluster cluster(options_of(tokenizer.get()), 1);
    cluster.add_group(shape_of());
    SubmitRequest submit = plain;
    submit.params.stop = {"never in here", stop};
    submit.params.include_stop_in_output = include;
    const int number = cluster.submit(submit);
    cluster.run();
    const SimulatedAnswer& answer = cluster.request(number).answers[0];
    const size_t end = text.find(stop) + (include ? stop.size() : 0);
    EXPECT_EQ(answer.text, text.substr(0, end));
    EXPECT_EQ(answer.ending.stop_string, stop);
    EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
    EXPECT_LT(answer.ids.size(), 12u);
    const std::string spoken = tokenizer->decode(answer.ids, true);
    EXPECT_NE(spoken.find(stop), std::string::npos) << "token ids include the match";
  }
}

// Ids of which only the fifth of eight is special; the text of the others is plain ASCII.
SubmitRequest with_special_answer(const Tokenizer& tokenizer) {
  for (uint64_t seed = 0; seed < 1'000'000; ++seed) {
    const SubmitRequest submit = prompt_of(5, 8, seed);
    const std::vector<TokenId> ids = alone(submit, 8);
    if (!tokenizer.is_special(ids[4])) continue;
    const auto plain = [&](TokenId id) {
      const std::string bytes = tokenizer.bytes_of(id);
      return !tokenizer.is_special(id) && !bytes.empty() &&
             std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
    };
    if (std::count_if(ids.begin(), ids.end(), plain) == 7) return submit;
  }
  ADD_FAILURE() << "no seed gives such an answer";
  return prompt_of(5, 8);
}

TEST(EngineText, AStopStringThatIsASpecialTokenEndsTheAnswerAtThatToken) {
  const auto tokenizer = demo_tokenizer();
  const SubmitRequest plain = with_special_answer(*tokenizer);
  const std::vector<TokenId> ids = alone(plain, 8);
  const std::string special(tokenizer->piece(ids[4]));
  const std::vector<TokenId> before_ids(ids.begin(), ids.begin() + 4);
  const std::string before = tokenizer->decode(before_ids, true);
  for (const bool skip : {true, false}) {
    for (const bool include : {true, false}) {
      SimulatedCluster cluster(options_of(tokenizer.get()), 1);
      cluster.add_group(shape_of());
      SubmitRequest submit = plain;
      submit.params.stop = {special};
      submit.params.skip_special_tokens = skip;
      submit.params.include_stop_in_output = include;
      const int whole = cluster.submit(submit);
      submit.params.stop = {before.substr(before.size() - 1) + special};
      const int longer = cluster.submit(submit);
      cluster.run();
      const SimulatedAnswer& answer = cluster.request(whole).answers[0];
      EXPECT_EQ(answer.ids, std::vector<TokenId>(ids.begin(), ids.begin() + 5));
      EXPECT_EQ(answer.text, before + (include ? special : ""));
      EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
      EXPECT_EQ(answer.ending.stop_string, special);
      const SimulatedAnswer& other = cluster.request(longer).answers[0];
      EXPECT_EQ(other.ids, answer.ids);
      EXPECT_EQ(other.text, include ? before + special : before.substr(0, before.size() - 1));
    }
  }
}

TEST(EngineText, ASpecialTokenWithinMinTokensDoesNotEndTheAnswerAsAStopString) {
  const auto tokenizer = demo_tokenizer();
  SubmitRequest submit = with_special_answer(*tokenizer);
  const std::vector<TokenId> ids = alone(submit, 8);
  submit.params.stop = {std::string(tokenizer->piece(ids[4]))};
  submit.params.sampling.min_tokens = 5;
  SimulatedCluster cluster(options_of(tokenizer.get()), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids, ids);
  EXPECT_EQ(cluster.request(number).answers[0].text, tokenizer->decode(ids, true));
  EXPECT_EQ(cluster.request(number).answers[0].ending.reason, FinishReason::kLength);
}

TEST(EngineText, TextHeldForAStopStringIsReleasedAtTheEnd) {
  const auto tokenizer = demo_tokenizer();
  SubmitRequest submit = with_readable_answer(*tokenizer, 8);
  const std::string text = tokenizer->decode(alone(submit, 8), true);
  submit.params.stop = {text.substr(text.size() - 2) + "zzz"};
  SimulatedCluster cluster(options_of(tokenizer.get()), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].text, text);
  EXPECT_EQ(cluster.request(number).answers[0].ending.text, text.substr(text.size() - 2));
}

TEST(EngineText, EndIdsAreInTheIdsAndNotInTheText) {
  const auto tokenizer = demo_tokenizer();
  const SubmitRequest plain = with_readable_answer(*tokenizer, 8);
  const std::vector<TokenId> ids = alone(plain, 8);
  const std::vector<TokenId> first_five(ids.begin(), ids.begin() + 5);
  const std::string before =
      tokenizer->decode(std::vector<TokenId>(ids.begin(), ids.begin() + 4), true);
  EngineOptions options = options_of(tokenizer.get());
  options.eos_ids = {ids[4]};
  SubmitRequest by_eos = plain;
  by_eos.params.ignore_eos = false;
  SubmitRequest by_stop_id = plain;
  by_stop_id.params.stop_token_ids = {ids[4]};
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  cluster.submit(by_eos);
  cluster.submit(by_stop_id);
  const int ignoring = cluster.submit(plain);
  cluster.run();
  for (const int number : {0, 1}) {
    const SimulatedAnswer& answer = cluster.request(number).answers[0];
    EXPECT_EQ(answer.ids, first_five);
    EXPECT_EQ(answer.text, before);
    EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
  }
  EXPECT_EQ(cluster.request(1).answers[0].ending.stop_token, ids[4]);
  EXPECT_EQ(cluster.request(ignoring).answers[0].ids, ids);
}

TEST(EngineText, EchoBeginsTheTextWithThePrompt) {
  const auto tokenizer = demo_tokenizer();
  SubmitRequest submit = with_readable_answer(*tokenizer, 3);
  submit.params.echo = true;
  SimulatedCluster cluster(options_of(tokenizer.get()), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].text,
            tokenizer->decode(submit.prompt, true) + tokenizer->decode(alone(submit, 3), true));
  EXPECT_EQ(cluster.request(number).answers[0].echo, tokenizer->decode(submit.prompt, true));
}

TEST(EngineText, AnEchoLowersTheCreditOfItsStream) {
  const auto tokenizer = demo_tokenizer();
  EngineOptions options = options_of(tokenizer.get());
  options.vocabulary_size = tokenizer->vocabulary_size();
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(60, 20);
  submit.params.echo = true;
  submit.credit_bytes = 60;  // the echo belongs to the first token, and costs more
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_FALSE(cluster.request(number).answers[0].text.empty());
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 1u);
  cluster.credit(number, 1 << 20);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 20u);
}

TEST(EngineText, PromptLogprobsLeaveInMessagesOfBoundedSize) {
  EngineOptions options = options_of();
  options.max_batched_tokens = 4'096;
  SimulatedCluster cluster(options, 1);
  GroupShape shape = shape_of(1, 2'048);
  shape.max_batched_tokens = 4'096;
  shape.max_model_len = 4'096;
  cluster.add_group(shape);
  SubmitRequest submit = prompt_of(3'000, 1);
  submit.kind = RequestKind::kScore;
  submit.params.num_prompt_logprobs = 0;
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).prompt_logprobs, 2'999);
  EXPECT_LE(cluster.request(number).most_prompt_logprobs, 1'024);
}

}  // namespace engine_text_test
}  // namespace trireme

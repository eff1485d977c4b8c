// Chats in the Engine: answers in parts, their ends, and what else a chat's client may ask for.
#include <gtest/gtest.h>

#include "tests/coordinator/chat_fixture.h"

namespace trireme {
namespace engine_chat_test {

constexpr uint64_t kSeed = 11;

class EngineChat : public testing::Test {
 protected:
  EngineChat() {
    options_ = options_of(tokenizer_.get());
    options_.vocabulary_size = tokenizer_->vocabulary_size();
    options_.eos_ids = {tokenizer_->id_of("<|im_end|>").value()};
  }

  // A chat whose answer is the text, then the end-of-sequence id.
  SubmitRequest chat(SimulatedCluster& cluster, const std::string& text) {
    std::vector<TokenId> ids = ids_of(*tokenizer_, text);
    num_ids_ = static_cast<int32_t>(ids.size()) + 1;
    ids.push_back(options_.eos_ids[0]);
    cluster.script(kSeed, ids);
    SubmitRequest submit = prompt_of(9, 150, kSeed);
    submit.params.ignore_eos = false;
    submit.format = format_;
    return submit;
  }
  SimulatedAnswer answer_of(SimulatedCluster& cluster, const SubmitRequest& submit) {
    const int number = cluster.submit(submit);
    cluster.run();
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
    EXPECT_TRUE(cluster.request(number).is_over());
    return cluster.request(number).answers[0];
  }

  const std::unique_ptr<const Tokenizer> tokenizer_ = demo_tokenizer();
  std::shared_ptr<AnswerFormat> format_ = tag_format();
  EngineOptions options_;
  int32_t num_ids_ = 0;
};

TEST_F(EngineChat, AnAnswerComesInPartsAndACallEndsItWithToolCalls) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  const SimulatedAnswer answer = answer_of(cluster, chat(cluster, called_answer()));
  EXPECT_EQ(answer.text, "");
  ASSERT_EQ(answer.parts.size(), 3u);
  EXPECT_EQ(answer.parts[0].text, kThought);
  EXPECT_EQ(answer.parts[1].text, kContent);
  EXPECT_EQ(answer.parts[2].name, "weigh");
  EXPECT_EQ(answer.parts[2].text, kArguments);
  EXPECT_EQ(answer.ending.reason, FinishReason::kToolCalls);
  EXPECT_EQ(answer.ending.output_tokens, num_ids_);
  EXPECT_GT(answer.ending.reasoning_tokens, 0);
}

TEST_F(EngineChat, WithoutACallAnAnswerStopsAndARawOneIsText) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  const SimulatedAnswer answer = answer_of(cluster, chat(cluster, reasoned_answer()));
  EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
  EXPECT_EQ(joined(answer.parts, PartKind::kContent), kContent);
  SubmitRequest raw = chat(cluster, called_answer());
  raw.format.reset();
  const SimulatedAnswer text = answer_of(cluster, raw);
  EXPECT_EQ(text.text, called_answer());
  EXPECT_TRUE(text.parts.empty());
  EXPECT_EQ(text.ending.reason, FinishReason::kStop);
}

TEST_F(EngineChat, LengthBeatsToolCalls) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = chat(cluster, called_answer() + "\nAye.");
  submit.params.max_tokens = static_cast<int32_t>(ids_of(*tokenizer_, called_answer()).size()) + 1;
  const SimulatedAnswer answer = answer_of(cluster, submit);
  EXPECT_EQ(joined(answer.parts, PartKind::kToolCall), kArguments);
  EXPECT_EQ(answer.ending.reason, FinishReason::kLength);
}

TEST_F(EngineChat, OneCallEndsTheAnswerAndDropsIdsAfterIt) {
  format_->one_call = true;
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of(3));
  const int32_t ids = static_cast<int32_t>(ids_of(*tokenizer_, called_answer()).size());
  const SimulatedAnswer answer =
      answer_of(cluster, chat(cluster, called_answer() + " and then much more of it"));
  EXPECT_EQ(answer.ending.reason, FinishReason::kToolCalls);
  EXPECT_LE(answer.ending.output_tokens, ids + 1);
  EXPECT_EQ(static_cast<int32_t>(answer.ids.size()), answer.ending.output_tokens);
  EXPECT_EQ(joined(answer.parts, PartKind::kToolCall), kArguments);
}

// The parser holds "\n", which may begin a call, until the end of the answer shows that none does.
TEST_F(EngineChat, AStopStringThatTheEndOfTheAnswerCompletesIsFound) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  const std::string text = reasoned_answer() + "\n";
  for (const bool include : {false, true}) {
    SubmitRequest submit = chat(cluster, text);
    submit.params.stop = {".\n"};
    submit.params.include_stop_in_output = include;
    const SimulatedAnswer stopped = answer_of(cluster, submit);
    EXPECT_EQ(joined(stopped.parts, PartKind::kContent),
              include ? "Aye. Weigh it.\n" : "Aye. Weigh it");
    EXPECT_EQ(stopped.ending.stop_string, ".\n");
    EXPECT_EQ(stopped.ending.reason, FinishReason::kStop);
  }
  SubmitRequest submit = chat(cluster, text);
  submit.params.stop = {".\n\n"};
  EXPECT_EQ(joined(answer_of(cluster, submit).parts, PartKind::kContent), "Aye. Weigh it.\n");
}

TEST_F(EngineChat, ALostGroupAndPreemptionChangeNoPart) {
  SimulatedCluster whole(options_, 1);
  whole.add_group(shape_of());
  const SimulatedAnswer expected = answer_of(whole, chat(whole, called_answer()));
  for (int steps = 1; steps < 60; steps += 3) {
    SimulatedCluster cluster(options_, 1);
    GroupShape shape = shape_of();
    cluster.add_group(shape);
    const int number = cluster.submit(chat(cluster, called_answer()));
    cluster.run(steps);
    cluster.lose_group(0);
    shape.epoch = 2;
    cluster.add_group(shape);
    cluster.run();
    const SimulatedAnswer& answer = cluster.request(number).answers[0];
    EXPECT_EQ(answer.ids, expected.ids);
    ASSERT_EQ(answer.parts.size(), expected.parts.size());
    for (size_t i = 0; i < answer.parts.size(); ++i) {
      EXPECT_EQ(answer.parts[i].text, expected.parts[i].text);
    }
    EXPECT_EQ(answer.ending.reasoning_tokens, expected.ending.reasoning_tokens);
  }
}

TEST_F(EngineChat, ARepeatedKeyGivesThePartsAndLogprobsAgain) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = chat(cluster, called_answer());
  submit.idempotency_key = "once";
  submit.digest = "d";
  submit.params.sampling.num_logprobs = 1;
  submit.token_bytes = true;
  const SimulatedAnswer first = answer_of(cluster, submit);
  const SimulatedAnswer again = answer_of(cluster, submit);
  EXPECT_EQ(again.parts, first.parts);
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(again.logprobs, first.logprobs);
  EXPECT_EQ(first.logprobs.size(), first.ids.size());
  EXPECT_EQ(again.token_bytes.size(), first.token_bytes.size());
  EXPECT_EQ(again.ending.reason, FinishReason::kToolCalls);
}

TEST_F(EngineChat, TokenBytesAreThoseOfEveryDrawnTokenAndCostCredit) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = chat(cluster, reasoned_answer());
  submit.params.sampling.num_logprobs = 2;
  submit.token_bytes = true;
  submit.want_prompt_ids = true;
  const SimulatedAnswer answer = answer_of(cluster, submit);
  ASSERT_EQ(answer.token_bytes.size(), answer.ids.size());
  std::string bytes;
  for (const TokenBytes& token : answer.token_bytes) {
    bytes += token.token;
    EXPECT_EQ(token.top, (std::vector<std::string>{token.token, token.token}));
  }
  EXPECT_EQ(bytes, reasoned_answer() + "<|im_end|>");
  EXPECT_EQ(cluster.request(0).prompt_ids, submit.prompt);
}

TEST_F(EngineChat, EchoIsContent) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = chat(cluster, reasoned_answer());
  submit.params.echo = true;
  const SimulatedAnswer answer = answer_of(cluster, submit);
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(joined(answer.parts, PartKind::kContent),
            tokenizer_->decode(submit.prompt, true) + kContent);
}

// The Engine lowers the credit of a stream as the door does (proto/piece_cost.h), so that neither
// waits for the other.
TEST_F(EngineChat, AStreamOfPartsWithLittleCreditEndsWhenItIsGranted) {
  SimulatedCluster cluster(options_, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = chat(cluster, called_answer());
  submit.credit_bytes = 1;
  const int number = cluster.submit(submit);
  for (int round = 0; round < 500 && !cluster.request(number).is_over(); ++round) {
    cluster.run(50);
    cluster.credit(number, 40);
  }
  EXPECT_TRUE(cluster.request(number).is_over());
  EXPECT_EQ(joined(cluster.request(number).answers[0].parts, PartKind::kToolCall), kArguments);
}

}  // namespace engine_chat_test
}  // namespace trireme

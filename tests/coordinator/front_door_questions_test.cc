// Questions to the tokenizer at the front door, which cost no credit, and prompts that wait for it.
#include <gtest/gtest.h>

#include "coordinator/doors/clients/front_door.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {
namespace front_door_questions_test {

constexpr PeerId kPeer = 1;

class FrontDoorQuestions : public testing::Test {
 protected:
  void SetUp() override {
    FrontDoorOptions options;
    options.model.name = "demo";
    options.rules.model_name = "demo";
    options.rules.vocabulary_size = 100;
    options.rules.max_model_len = 16;
    options.rules.has_tokenizer = true;
    options.max_waiting_bytes = 40'000;
    door_ = std::make_unique<FrontDoor>(options, &sender_);
    say(door::Hello{});
    heard();
  }
  void say(const door::FromClient& message) {
    std::string frame;
    codec_.encode(message, frame);
    door_->on_frame(kPeer, frame, 1'000, output_);
  }
  template <class Message>
  std::vector<Message> heard_of() {
    std::vector<Message> found;
    for (const door::ToClient& message : heard()) {
      if (const auto* one = std::get_if<Message>(&message)) found.push_back(*one);
    }
    return found;
  }
  std::vector<door::ToClient> heard() {
    door_->flush(1'000, output_);
    std::vector<door::ToClient> messages;
    for (const std::string& frame : sender_.take(kPeer)) {
      messages.push_back(codec_.decode_to_client(frame).value());
    }
    return messages;
  }

  FakeSender sender_;
  ClientCodec codec_;
  std::unique_ptr<FrontDoor> door_;
  DoorOutput output_;
};

TEST_F(FrontDoorQuestions, ACancelInThePoolEndsEveryChoice) {
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::string("The galley");
  submit.sampling.n = 3;
  say(submit);
  say(door::Cancel{7, ""});
  const auto ends = heard_of<door::Finished>();
  ASSERT_EQ(ends.size(), 3u);
  for (int choice = 0; choice < 3; ++choice) {
    EXPECT_EQ(ends[choice].choice, choice);
    EXPECT_EQ(ends[choice].reason, door::FinishReason::kCancelled);
    EXPECT_EQ(ends[choice].last_choice, choice == 2);
  }
  EXPECT_EQ(output_.dropped_jobs.size(), 1u);
}

TEST_F(FrontDoorQuestions, AConnectionAsksSoManyQuestionsAndCanCancelThem) {
  door::Tokenize question;
  question.what = std::string("galley");
  for (uint64_t tag = 1; tag <= 65; ++tag) {
    question.tag = tag;
    say(question);
  }
  auto errors = heard_of<door::Error>();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].tag, 65u);
  EXPECT_EQ(errors[0].error_id, "TRI-REQ-097");
  EXPECT_GT(errors[0].retry_after_ms, 0);
  say(door::Cancel{3, ""});
  errors = heard_of<door::Error>();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].error_id, "TRI-REQ-096");
  EXPECT_EQ(output_.dropped_jobs.size(), 1u);
  say(question);
  EXPECT_TRUE(heard().empty()) << "the place of the cancelled one is free";
}

TEST_F(FrontDoorQuestions, AnAnswerToAQuestionNeverOverfillsItsConnection) {
  door::Detokenize question;
  question.ids = {5};
  for (uint64_t tag = 1; tag <= 2; ++tag) {
    question.tag = tag;
    say(question);
  }
  sender_.room[kPeer] = 0;
  for (const TokenizerJob& job : output_.jobs) {
    TokenizerResult result;
    result.job = job.number;
    result.text = std::string(15'000, 'x');
    door_->on_tokenized(std::move(result), output_);
  }
  sender_.room.erase(kPeer);
  const auto messages = heard();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(std::get<door::Detokenized>(messages[0]).tag, 1u);
  EXPECT_EQ(std::get<door::Error>(messages[1]).error_id, "TRI-REQ-097");
}

TEST_F(FrontDoorQuestions, AConnectionWithoutHelloIsToldToBeginAnew) {
  std::string frame;
  codec_.encode(door::Credit{7, 1'000}, frame);
  door_->on_frame(2, frame, 1'000, output_);
  door_->flush(1'000, output_);
  const auto error = std::get<door::Error>(codec_.decode_to_client(sender_.take(2).at(0)).value());
  EXPECT_EQ(error.error_id, "TRI-NET-007");
  EXPECT_TRUE(error.closes);
}

}  // namespace front_door_questions_test
}  // namespace trireme

// The front door before a prompt is tokenized: requests that are refused at once, known keys, and
// the length of answers.
#include <gtest/gtest.h>

#include "tests/coordinator/front_door_fixture.h"

namespace trireme {
namespace front_door_early_test {

using FrontDoorEarly = FrontDoorTest;

TEST_F(FrontDoorEarly, AFullQueueRefusesBeforeThePromptIsTokenized) {
  int64_t asked_pending = -1;
  FrontDoorOptions with = front_door_options();
  with.early.may_wait = [&](const SubmitRequest&, int64_t pending, int64_t* retry_after_ms) {
    asked_pending = pending;
    *retry_after_ms = 250;
    return pending < 1 ? ok_status() : exhausted("TRI-REQ-030", "full");
  };
  make(with);
  ASSERT_NO_FATAL_FAILURE(hello(1));
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::string("ab");
  say(1, submit);
  EXPECT_EQ(output_.jobs.size(), 1u);
  submit.tag = 8;
  say(1, submit);
  EXPECT_EQ(asked_pending, 1);
  EXPECT_EQ(output_.jobs.size(), 1u);
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 1u);
  const auto& error = std::get<door::Error>(messages[0]);
  EXPECT_EQ(error.error_id, "TRI-REQ-030");
  EXPECT_EQ(error.retry_after_ms, 250);
}

TEST_F(FrontDoorEarly, QuestionsAreNoPartOfTheQueue) {
  int64_t asked_pending = -1;
  FrontDoorOptions with = front_door_options();
  with.early.may_wait = [&](const SubmitRequest&, int64_t pending, int64_t*) {
    asked_pending = pending;
    return ok_status();
  };
  make(with);
  ASSERT_NO_FATAL_FAILURE(hello(1));
  say(1, door::Tokenize{7, std::string("ab"), true, false});
  door::Submit submit;
  submit.tag = 8;
  submit.prompt = std::string("ab");
  say(1, submit);
  EXPECT_EQ(asked_pending, 0);
}

TEST_F(FrontDoorEarly, NoMoreTokensAreAskedForThanTheModelHas) {
  ASSERT_NO_FATAL_FAILURE(hello(1));
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::vector<TokenId>(10, 1);
  submit.sampling.max_tokens = 1000;
  say(1, submit);
  ASSERT_EQ(output_.events.size(), 1u);
  EXPECT_EQ(std::get<event::Submitted>(output_.events[0]).request.params.max_tokens, 6);
}

// A Cancel that the Engine has not seen yet may free the key.
TEST_F(FrontDoorEarly, AKnownKeyBehindAnotherMessageIsTokenizedAllTheSame) {
  FrontDoorOptions with = front_door_options();
  with.early.knows_key = [](const SubmitRequest&) { return true; };
  make(with);
  ASSERT_NO_FATAL_FAILURE(hello(1));
  say(1, door::Cancel{0, std::string(16, 'i')});
  ASSERT_EQ(output_.events.size(), 1u);
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::string("ab");
  submit.idempotency_key = "known";
  say(1, submit);
  EXPECT_EQ(output_.jobs.size(), 1u);
  EXPECT_EQ(output_.events.size(), 1u);
}

// Not even in a drain; its prompt is not tokenized again.
TEST_F(FrontDoorEarly, AKnownKeyIsNeverRefused) {
  FrontDoorOptions with = front_door_options();
  with.early.knows_key = [](const SubmitRequest& submit) {
    return submit.idempotency_key == "known";
  };
  with.early.may_wait = [](const SubmitRequest&, int64_t, int64_t*) {
    return exhausted("TRI-REQ-030", "full");
  };
  make(with);
  ASSERT_NO_FATAL_FAILURE(hello(1));
  door_->drain();
  door::Submit submit;
  submit.tag = 7;
  submit.prompt = std::string("ab");
  submit.idempotency_key = "known";
  say(1, submit);
  EXPECT_TRUE(output_.jobs.empty());
  ASSERT_EQ(output_.events.size(), 1u);
  const auto& submitted = std::get<event::Submitted>(output_.events[0]);
  EXPECT_EQ(submitted.request.idempotency_key, "known");
  EXPECT_FALSE(submitted.request.digest.empty());
  submit.tag = 8;
  submit.idempotency_key = "new";
  say(1, submit);
  EXPECT_EQ(refusal(1, 8), "TRI-REQ-083");
}

}  // namespace front_door_early_test
}  // namespace trireme

// Streams: cursors into answers. Credit, connections that take nothing, resumption, and clients
// that go away.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_streams_test {

constexpr int64_t kMuch = 1 << 20;

TEST(EngineStreams, AnUnreadStreamHoldsNothingUp) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(4, 100);
  submit.credit_bytes = 100;
  const int number = cluster.submit(submit);
  cluster.run();
  const SimulatedRequest& request = cluster.request(number);
  EXPECT_GT(request.answers[0].ids.size(), 0u);
  EXPECT_LT(request.answers[0].ids.size(), 20u);
  EXPECT_FALSE(request.is_over());
  EXPECT_EQ(cluster.engine().status().finished, 1) << "it was generated to its end";
  EXPECT_EQ(cluster.engine().status().groups[0].slots_used, 0);
  cluster.credit(number, kMuch);
  cluster.run();
  EXPECT_EQ(request.answers[0].ids, alone(submit, 100));
  EXPECT_TRUE(request.is_over());
}

TEST(EngineStreams, APieceIsSentWhileTheCreditIsAboveZero) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(4, 4);
  submit.credit_bytes = 21;  // a piece of one id costs 20
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 2u);
  cluster.credit(number, 19);  // now 0
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 2u);
  cluster.credit(number, 1);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 4u) << "both leave in one piece";
  EXPECT_TRUE(cluster.request(number).is_over()) << "an end costs nothing";
}

TEST(EngineStreams, AnEndWaitsBehindItsTokensUnlessTheyAreDropped) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(4, 30);
  submit.params.num_choices = 2;
  submit.credit_bytes = 1;
  const int number = cluster.submit(submit);
  cluster.run();
  SimulatedRequest& request = cluster.request(number);
  EXPECT_EQ(request.answers[0].finishes + request.answers[1].finishes, 0);
  cluster.cancel(number);
  for (const SimulatedAnswer& answer : request.answers) {
    EXPECT_EQ(answer.finishes, 1);
    EXPECT_EQ(answer.ending.reason, FinishReason::kCancelled);
  }
  EXPECT_TRUE(request.is_over());
  const int again = cluster.resume(number, 5, 1, {}, kMuch);
  EXPECT_EQ(error_id(cluster.request(again).refusal), "TRI-REQ-037") << "it is forgotten";
}

TEST(EngineStreams, ABlockedConnectionGetsNothingUntilItIsWritable) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int one = cluster.submit(prompt_of(4, 50));
  SubmitRequest submit = prompt_of(4, 50, 2);
  submit.connection = 2;
  const int other = cluster.submit(submit);
  cluster.run(20);
  cluster.feed(event::Blocked{1});
  const size_t before = cluster.request(one).answers[0].ids.size();
  cluster.run();
  EXPECT_EQ(cluster.request(one).answers[0].ids.size(), before);
  EXPECT_TRUE(cluster.request(other).is_over());
  cluster.feed(event::Writable{1});
  EXPECT_EQ(cluster.request(one).answers[0].ids, alone(cluster.request(one).submit, 50));
  EXPECT_TRUE(cluster.request(one).is_over());
}

TEST(EngineStreams, AConnectionThatIsBlockedBeforeItsFirstStreamGetsNothing) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  cluster.feed(event::Blocked{1});
  const int number = cluster.submit(prompt_of(4, 10));
  cluster.run();
  EXPECT_FALSE(cluster.request(number).accepted);
  cluster.feed(event::Writable{1});
  EXPECT_TRUE(cluster.request(number).is_over());
}

// A client that comes back with much to read gets it in shares.
TEST(EngineStreams, MuchToReadIsSentInShares) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  GroupShape shape = shape_of(1, 20'000);
  shape.max_model_len = 50'000;
  FakeGroup fake(shape, kVocabulary);
  SubmitRequest submit = prompt_of(4, 30'000);
  submit.credit_bytes = 0;
  engine.on(event::GroupReady{shape}, 1, effects);
  engine.on(event::Submitted{submit}, 1, effects);
  RequestId id;
  for (size_t at = 0; at < effects.size(); ++at) {
    if (auto* plan = std::get_if<effect::SendPlan>(&effects[at])) {
      engine.on(event::StepDone{0, fake.execute(plan->plan)}, 1, effects);
    } else if (auto* append = std::get_if<effect::Append>(&effects[at])) {
      engine.on(event::Durable{append->sequence}, 1, effects);
    } else if (auto* accept = std::get_if<effect::Accept>(&effects[at])) {
      id = accept->request;
    }
  }
  const auto ids_in = [](const std::vector<Effect>& sent) {
    size_t ids = 0;
    for (const Effect& effect : sent) {
      if (auto* tokens = std::get_if<effect::Tokens>(&effect)) ids += tokens->ids.size();
    }
    return ids;
  };
  EXPECT_EQ(ids_in(effects), 0u);
  effects.clear();
  engine.on(event::Credited{1, id, kMuch}, 1, effects);
  size_t ids = ids_in(effects);
  EXPECT_GT(ids, 1'000u);
  EXPECT_LT(ids, 20'000u) << "64 KiB";
  int shares = 1;
  while (!engine.take_behind().empty()) {
    effects.clear();
    engine.on(event::Writable{1}, 1, effects);
    ids += ids_in(effects);
    ++shares;
  }
  EXPECT_EQ(ids, 30'000u);
  EXPECT_GE(shares, 2);
}

class EngineResume : public testing::Test {
 protected:
  // Sends a Resume of request `number` on a new connection; returns its number.
  int resume(int number, uint64_t nonce, std::vector<int32_t> next, int64_t credit = kMuch) {
    return cluster_.resume(number, ++connection_, nonce, std::move(next), credit);
  }
  const SimulatedAnswer& answer(int number, int choice = 0) {
    return cluster_.request(number).answers[static_cast<size_t>(choice)];
  }

  SimulatedCluster cluster_{options_of(), 1};
  ConnectionId connection_ = 10;
};

TEST_F(EngineResume, GoesOnFromAnyIndexWhileTheRequestRunsAndAfterItsEnd) {
  cluster_.add_group(shape_of());
  const SubmitRequest submit = prompt_of(9, 40);
  const int first = cluster_.submit(submit);
  const std::vector<TokenId> whole = alone(submit, 40);
  for (int32_t index = 0; index <= 40; ++index) {
    if (index < 20) cluster_.run(4);
    if (index == 20) cluster_.run();
    const int again = resume(first, static_cast<uint64_t>(index) + 1, {index});
    if (index < 20) continue;
    cluster_.run();
    EXPECT_EQ(answer(again).ids, (std::vector<TokenId>(whole.begin() + index, whole.end())));
    EXPECT_EQ(answer(again).finishes, 1);
  }
  EXPECT_TRUE(cluster_.problems().empty()) << cluster_.problems().front();
}

TEST_F(EngineResume, AChoiceWhoseEndWasSeenIsNotSentAgain) {
  cluster_.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.params.num_choices = 2;
  const int first = cluster_.submit(submit);
  cluster_.run();
  const int again = resume(first, 1, {kEndedIndex, 5});
  cluster_.run();
  EXPECT_TRUE(answer(again, 0).ids.empty());
  EXPECT_EQ(answer(again, 0).finishes, 0);
  EXPECT_EQ(answer(again, 1).ids.size(), 15u);
  EXPECT_EQ(answer(again, 1).finishes, 1);
  EXPECT_TRUE(cluster_.request(again).is_over());
}

TEST_F(EngineResume, TheGreaterNonceKeepsTheAnswerAndTheLoserIsToldIt) {
  cluster_.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 100);
  submit.nonce = 7;
  const int first = cluster_.submit(submit);
  cluster_.run(10);
  const int late = resume(first, 6, {0});
  EXPECT_EQ(error_id(cluster_.request(late).refusal), "TRI-REQ-039");
  EXPECT_EQ(cluster_.request(late).refusal_nonce, 7u);
  EXPECT_FALSE(cluster_.request(first).refused);
  const int winner = resume(first, 9, {0});
  EXPECT_EQ(error_id(cluster_.request(first).refusal), "TRI-REQ-039");
  EXPECT_EQ(cluster_.request(first).refusal_nonce, 9u);
  const int equal = resume(first, 9, {0});
  EXPECT_EQ(error_id(cluster_.request(winner).refusal), "TRI-REQ-039") << "the later of two";
  cluster_.run();
  EXPECT_EQ(answer(equal).ids, alone(submit, 100));
  EXPECT_TRUE(cluster_.problems().empty()) << cluster_.problems().front();
}

TEST_F(EngineResume, AnIndexThatIsNotComputedYetWaitsForIt) {
  cluster_.add_group(shape_of());
  const SubmitRequest submit = prompt_of(9, 60);
  const int first = cluster_.submit(submit);
  cluster_.run(6);
  const int again = resume(first, 1, {50});
  EXPECT_TRUE(answer(again).ids.empty());
  cluster_.run();
  const std::vector<TokenId> whole = alone(submit, 60);
  EXPECT_EQ(answer(again).ids, (std::vector<TokenId>(whole.begin() + 50, whole.end())));
}

// Where the pieces end that a Resume from the beginning gets, and the ends of choices.
std::vector<std::pair<int32_t, int32_t>> order_of(const SimulatedRequest& request) {
  std::vector<std::pair<int32_t, int32_t>> order;
  for (const AnswerPoint& piece : request.pieces) order.emplace_back(piece.choice, piece.index);
  return order;
}

TEST_F(EngineResume, TheAnswerIsSentFromPointToPointFirst) {
  cluster_.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.params.num_choices = 3;
  const int first = cluster_.submit(submit);
  cluster_.run();
  const int again =
      cluster_.resume(first, 11, 1, {}, kMuch, {{1, 7}, {2, 0}, {2, kEndedIndex}, {0, 20}, {1, 9}});
  using Order = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(order_of(cluster_.request(again)),
            (Order{{1, 7},
                   {2, 20},
                   {2, kEndedIndex},
                   {0, 20},
                   {1, 9},
                   {0, kEndedIndex},
                   {1, 20},
                   {1, kEndedIndex}}));
  EXPECT_TRUE(cluster_.request(again).is_over());
  EXPECT_EQ(answer(again, 2).ids, alone(submit, 20, 2));
}

TEST_F(EngineResume, APieceToAPointWaitsUntilItIsWhole) {
  cluster_.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 40);
  submit.params.num_choices = 2;
  const int first = cluster_.submit(submit);
  cluster_.run(6);
  const int again = cluster_.resume(first, 11, 1, {}, 1, {{0, 30}, {1, 3}});
  while (answer(again).ids.empty()) ASSERT_TRUE(cluster_.run_one());
  EXPECT_EQ(answer(again).ids.size(), 30u);
  cluster_.run();
  EXPECT_TRUE(answer(again, 1).ids.empty()) << "there is no credit for the second point";
  cluster_.credit(again, kMuch);
  EXPECT_EQ(order_of(cluster_.request(again))[1], (std::pair<int32_t, int32_t>(1, 3)));
  cluster_.run();
  EXPECT_TRUE(cluster_.request(again).is_over());
}

TEST_F(EngineResume, APointBehindTheEndOfAChoiceIsReachedWithIt) {
  cluster_.add_group(shape_of());
  const int first = cluster_.submit(prompt_of(9, 10));
  cluster_.run(6);
  const int again = cluster_.resume(first, 11, 1, {}, kMuch, {{0, 1000}, {0, kEndedIndex}});
  cluster_.run();
  EXPECT_EQ(answer(again).ids.size(), 10u);
  EXPECT_TRUE(cluster_.request(again).is_over());
  const int wrong = cluster_.resume(first, 12, 2, {}, kMuch, {{0, 1}, {1, 1}});
  EXPECT_EQ(error_id(cluster_.request(wrong).refusal), "TRI-REQ-098");
  EXPECT_EQ(field_of(cluster_.request(wrong).refusal), "points");
}

TEST_F(EngineResume, TheStateOfTheClientComesBackAlsoAfterARestart) {
  EngineOptions options = options_of();
  options.journals = true;
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 40);
  submit.idempotency_key = "key";
  submit.client_state = "state";
  const int first = cluster.submit(submit);
  cluster.run(6);
  EXPECT_EQ(cluster.request(first).client_state, "") << "its client knows it";
  const int again = cluster.resume(first, 11, 1, {0}, kMuch);
  EXPECT_EQ(cluster.request(again).client_state, "state");
  submit.client_state = "another";
  submit.nonce = 2;
  const int repeated = cluster.submit(submit);
  EXPECT_EQ(cluster.request(repeated).client_state, "state");
  cluster.restart();
  cluster.add_group(shape_of());
  const int later = cluster.resume(first, 12, 100, {0}, kMuch);
  EXPECT_EQ(cluster.request(later).client_state, "state");
  cluster.run();
  EXPECT_EQ(cluster.request(later).answers[0].ids, alone(submit, 40));
}

TEST_F(EngineResume, UnknownAndExpiredAnswersAndTooManyChoicesAreRefused) {
  cluster_.add_group(shape_of());
  const int first = cluster_.submit(prompt_of(9, 10));
  cluster_.run();
  EXPECT_EQ(error_id(cluster_.request(resume(first, 1, {0, 0})).refusal), "TRI-REQ-098");
  cluster_.advance(options_of().answer_ttl_us - 1'000'000);
  EXPECT_FALSE(cluster_.request(resume(first, 2, {0})).refused);
  cluster_.advance(2'000'000);
  EXPECT_EQ(error_id(cluster_.request(resume(first, 3, {0})).refusal), "TRI-REQ-037");
}

TEST_F(EngineResume, AClientThatIsGoneIsAwaitedAsLongAsItsRequestAllows) {
  cluster_.add_group(shape_of(), 100'000);
  SubmitRequest submit = prompt_of(9, 150);
  submit.on_disconnect = OnDisconnect::kCancel;
  submit.disconnect_grace_us = 500'000;
  const int back = cluster_.submit(submit);
  submit.connection = 2;
  const int away = cluster_.submit(submit);
  submit.connection = 3;
  submit.on_disconnect = OnDisconnect::kContinue;
  cluster_.submit(submit);
  cluster_.run(10);
  for (const ConnectionId connection : {1, 2, 3}) cluster_.disconnect(connection);
  cluster_.advance(400'000);
  const int again = resume(back, 1, {0});
  cluster_.advance(200'000);
  EXPECT_EQ(error_id(cluster_.request(resume(away, 1, {0})).refusal), "TRI-REQ-037");
  cluster_.run();
  EXPECT_EQ(answer(again).ids, alone(submit, 150));
  EXPECT_EQ(cluster_.engine().status().output_tokens >= 300, true) << "the third ran to its end";
  EXPECT_EQ(cluster_.engine().status().groups[0].pages_held, 0);
}

TEST_F(EngineResume, ScoresAreSentAgainFromTheFirst) {
  EngineOptions options = options_of();
  options.max_batched_tokens = 8;
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  SubmitRequest score = prompt_of(60, 1);
  score.kind = RequestKind::kScore;
  const int first = cluster.submit(score);
  while (cluster.request(first).prompt_logprobs < 20) ASSERT_TRUE(cluster.run_one());
  cluster.disconnect(1);
  const int again = cluster.resume(first, 9, 1, {0}, kMuch);
  cluster.run();
  EXPECT_EQ(cluster.request(again).prompt_logprobs, 59);
  EXPECT_EQ(cluster.request(again).answers[0].finishes, 1);
  const int late = cluster.resume(first, 10, 2, {0}, kMuch);
  EXPECT_EQ(error_id(cluster.request(late).refusal), "TRI-REQ-037") << "values are not kept";
}

}  // namespace engine_streams_test
}  // namespace trireme

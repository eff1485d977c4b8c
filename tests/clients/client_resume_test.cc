// Requests of a Client over connections that a test loses: they go on under their tags, with every
// event once, in fake time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cpp/client.h"
#include "tests/clients/fake_coordinator.h"

namespace trireme {
namespace client_resume_test {

using door::kEndedIndex;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Milliseconds = Client::Milliseconds;

const std::string kId = "0123456789abcdef";

class ResumeTest : public testing::Test {
 protected:
  void SetUp() override { open({}); }
  void open(ClientOptions options) {
    options.clock = &clock_;
    client_ = Client::open(coordinator_.connector(), options).value();
    coordinator_.welcome();
    ASSERT_THAT(poll(), SizeIs(1));
  }
  std::vector<ClientEvent> poll() { return client_->poll(Milliseconds(0)).value(); }
  uint64_t submit(door::Submit request = {}, CreditMode credit = CreditMode::kAutomatic) {
    if (request.prompt.index() == 0) request.prompt = std::string("x");
    return client_->submit(std::move(request), credit).value();
  }
  void accept(uint64_t tag, const std::string& id = kId) {
    door::Accepted accepted;
    accepted.tag = tag;
    accepted.request_id = id;
    accepted.seed = 99;
    coordinator_.answer(accepted);
  }
  void send_piece(uint64_t tag, int32_t first_index, int num_ids, const std::string& text = "") {
    door::Piece piece;
    piece.tag = tag;
    piece.first_index = first_index;
    piece.token_ids.resize(static_cast<size_t>(num_ids));
    piece.text = text;
    coordinator_.answer(door::Tokens{{piece}});
  }
  void finish(uint64_t tag) {
    door::Finished finished;
    finished.tag = tag;
    finished.last_choice = true;
    coordinator_.answer(finished);
  }
  void refuse(uint64_t tag, const std::string& id) {
    door::Error error;
    error.tag = tag;
    error.error_id = id;
    error.message = id + ": refused";
    coordinator_.answer(error);
  }
  // The events that the loss brings; the next connection is welcomed after them.
  std::vector<ClientEvent> lose_and_connect() {
    coordinator_.newest().lost = true;
    auto events = poll();
    clock_.advance_us(in_us(client_->next_action_in().value()));
    poll();
    coordinator_.welcome();
    EXPECT_THAT(poll(), SizeIs(1));
    return events;
  }

  FakeClock clock_;
  FakeCoordinator coordinator_;
  std::unique_ptr<Client> client_;
};

TEST_F(ResumeTest, AnAnswerGoesOnWhereItWas) {
  const uint64_t tag = submit();
  const auto sent = coordinator_.next<door::Submit>();
  accept(tag);
  send_piece(tag, 0, 3);
  EXPECT_THAT(poll(), SizeIs(2));
  const auto events = lose_and_connect();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(std::get<ConnectionChange>(events[0]).error_id, "TRI-NET-031");
  EXPECT_EQ(client_->num_open(), 1u);

  const auto resume = coordinator_.next<door::Resume>();
  ASSERT_TRUE(resume);
  EXPECT_EQ(resume->tag, tag);
  EXPECT_EQ(resume->request_id, kId);
  EXPECT_THAT(resume->next_index, ElementsAre(3));
  EXPECT_EQ(resume->credit_bytes, 1'000);
  EXPECT_GT(resume->nonce, sent->nonce);
  accept(tag);
  send_piece(tag, 3, 1);
  finish(tag);
  const auto rest = poll();
  ASSERT_THAT(rest, SizeIs(2)) << "the second Accepted says nothing new";
  EXPECT_EQ(std::get<door::Piece>(rest[0]).first_index, 3);
  EXPECT_EQ(client_->num_open(), 0u);
}

TEST_F(ResumeTest, ARequestThatWasNotAcceptedIsSubmittedAgainUnderItsKey) {
  const uint64_t tag = submit();
  const auto first = coordinator_.next<door::Submit>();
  EXPECT_THAT(first->idempotency_key, StartsWith("client-"));
  lose_and_connect();
  const auto second = coordinator_.next<door::Submit>();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->tag, tag);
  EXPECT_EQ(second->idempotency_key, first->idempotency_key);
  EXPECT_GT(second->nonce, first->nonce);
  accept(tag);
  finish(tag);
  EXPECT_THAT(poll(), SizeIs(2));
  const uint64_t other = submit();
  EXPECT_NE(coordinator_.next<door::Submit>()->idempotency_key, first->idempotency_key);
  EXPECT_GT(other, tag);
}

TEST_F(ResumeTest, TheCallersKeyAndGraceStay) {
  door::Submit request;
  request.idempotency_key = "mine";
  request.on_disconnect = door::OnDisconnect::kCancel;
  submit(request);
  EXPECT_EQ(coordinator_.next<door::Submit>()->idempotency_key, "mine");
  request.disconnect_grace_ms = 7;
  submit(request);
  EXPECT_EQ(coordinator_.next<door::Submit>()->disconnect_grace_ms, 7);
  request.disconnect_grace_ms = 0;
  submit(request);
  EXPECT_EQ(coordinator_.next<door::Submit>()->disconnect_grace_ms, 15'000)
      << "a loss of the connection is not the client's end";
}

TEST_F(ResumeTest, AChoiceThatEndedIsNotReadAgain) {
  const uint64_t tag = submit();
  accept(tag);
  send_piece(tag, 0, 2);
  door::Finished finished;
  finished.tag = tag;
  finished.choice = 1;
  coordinator_.answer(finished);
  poll();
  lose_and_connect();
  EXPECT_THAT(coordinator_.next<door::Resume>()->next_index, ElementsAre(2, kEndedIndex));
}

TEST_F(ResumeTest, SeveralLossesWithoutAnEventInBetweenChangeNothing) {
  const uint64_t tag = submit();
  accept(tag);
  send_piece(tag, 0, 5);
  poll();
  uint64_t nonce = 0;
  for (int loss = 0; loss < 3; ++loss) {
    lose_and_connect();
    const auto resume = coordinator_.next<door::Resume>();
    EXPECT_THAT(resume->next_index, ElementsAre(5));
    EXPECT_GT(resume->nonce, nonce);
    nonce = resume->nonce;
  }
}

TEST_F(ResumeTest, CreditStartsAnewLessWhatTheCallerHolds) {
  const uint64_t tag = submit({}, CreditMode::kManual);
  accept(tag);
  send_piece(tag, 0, 1, std::string(280, 'x'));  // 300 bytes of credit
  poll();
  EXPECT_TRUE(client_->grant(tag, 100).ok());
  lose_and_connect();
  EXPECT_EQ(coordinator_.next<door::Resume>()->credit_bytes, 1'000 - 200);
  EXPECT_TRUE(client_->grant(tag, 200).ok());
  EXPECT_FALSE(coordinator_.next<door::Credit>()) << "less than half";
  lose_and_connect();
  EXPECT_EQ(coordinator_.next<door::Resume>()->credit_bytes, 1'000);
}

TEST_F(ResumeTest, ACancelIsNotForgotten) {
  const uint64_t accepted = submit();
  accept(accepted);
  poll();
  const uint64_t waiting = submit();
  EXPECT_TRUE(client_->cancel_all().ok());
  lose_and_connect();
  EXPECT_EQ(coordinator_.next<door::Resume>()->tag, accepted);
  EXPECT_EQ(coordinator_.next<door::Cancel>()->tag, accepted);
  EXPECT_EQ(coordinator_.next<door::Submit>()->tag, waiting);
  EXPECT_EQ(coordinator_.next<door::Cancel>()->tag, waiting);
}

TEST_F(ResumeTest, AnAnswerThatIsNotKeptEndsWithAnError) {
  const uint64_t tag = submit();
  accept(tag);
  send_piece(tag, 0, 1);
  poll();
  lose_and_connect();
  refuse(tag, "TRI-REQ-037");
  const auto events = poll();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(std::get<door::Error>(events[0]).error_id, "TRI-REQ-037");
  EXPECT_EQ(client_->num_open(), 0u);
}

// The coordinator does not keep the values of a prompt: the request is computed again.
TEST_F(ResumeTest, AScoreThatIsNotKeptRunsAnewAndIsToldOnce) {
  door::Submit request;
  request.kind = door::Kind::kScore;
  const uint64_t tag = submit(request);
  const auto send_values = [&](int32_t count) {
    door::PromptLogprobs values{tag, 1, {}};
    for (int32_t i = 0; i < count; ++i) values.entries.emplace_back().token.id = i;
    coordinator_.answer(values);
  };
  accept(tag);
  send_values(4);
  EXPECT_THAT(poll(), SizeIs(2));
  lose_and_connect();
  EXPECT_TRUE(coordinator_.next<door::Resume>());
  refuse(tag, "TRI-REQ-037");
  EXPECT_THAT(poll(), IsEmpty());
  const auto again = coordinator_.next<door::Submit>();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->tag, tag);
  EXPECT_EQ(again->sampling.seed, 99u);
  accept(tag, "another id 89abc");
  send_values(6);
  finish(tag);
  const auto events = poll();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(std::get<door::PromptLogprobs>(events[0]).first_position, 5);
  EXPECT_THAT(std::get<door::PromptLogprobs>(events[0]).entries, SizeIs(2));
}

TEST_F(ResumeTest, AReaderThatLostItsAnswerToAnotherStaysAway) {
  const uint64_t tag = submit();
  accept(tag);
  poll();
  refuse(tag, "TRI-REQ-039");
  EXPECT_THAT(poll(), SizeIs(1));
  EXPECT_EQ(client_->num_open(), 0u);
  lose_and_connect();
  EXPECT_FALSE(coordinator_.next<door::Resume>());
}

TEST_F(ResumeTest, RequestsEndAfterTheirPatience) {
  const uint64_t tag = submit();
  coordinator_.newest().lost = true;
  coordinator_.accepts = false;
  EXPECT_THAT(poll(), SizeIs(1));
  const TimeUs lost_us = clock_.now_us();
  std::vector<ClientEvent> events;
  while (events.empty()) {
    clock_.advance_us(in_us(client_->next_action_in().value()));
    events = poll();
  }
  EXPECT_EQ(clock_.now_us() - lost_us, 60'000'000);
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
  EXPECT_EQ(std::get<door::Error>(events[0]).error_id, "TRI-NET-031");
  EXPECT_EQ(client_->num_open(), 0u);
}

TEST_F(ResumeTest, ASubmitWithoutAConnectionWaitsForOneIfTheClientHoldsIt) {
  open({.holds_submits = true});
  coordinator_.newest().lost = true;
  poll();
  const uint64_t tag = submit();
  EXPECT_THAT(poll(), IsEmpty());
  clock_.advance_us(in_us(client_->next_action_in().value()));
  poll();
  EXPECT_FALSE(coordinator_.next<door::Submit>());
  coordinator_.welcome();
  poll();
  EXPECT_EQ(coordinator_.next<door::Submit>()->tag, tag);
}

TEST_F(ResumeTest, HeldRequestsAreBoundedInBytes) {
  open({.holds_submits = true, .max_unsent_bytes = 10'000});
  coordinator_.newest().lost = true;
  poll();
  door::Submit request;
  request.prompt = std::string(1'000, 'x');
  for (int i = 0; i < 9; ++i) submit(request);
  EXPECT_THAT(poll(), IsEmpty());
  const uint64_t refused = submit(request);
  const auto events = poll();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, refused);
  EXPECT_EQ(std::get<door::Error>(events[0]).error_id, "TRI-NET-030");
}

TEST_F(ResumeTest, AnAnswerOfAnEarlierRunIsResumedAsOften) {
  door::Resume request;
  request.request_id = kId;
  request.next_index = {4};
  request.points = {{0, 5}};
  const uint64_t tag = client_->resume(request).value();
  const auto first = coordinator_.next<door::Resume>();
  EXPECT_EQ(first->tag, tag);
  EXPECT_GT(first->nonce, 0u);
  accept(tag);
  send_piece(tag, 4, 2);
  EXPECT_THAT(poll(), SizeIs(2)) << "the caller sees the first Accepted";
  lose_and_connect();
  const auto second = coordinator_.next<door::Resume>();
  EXPECT_THAT(second->next_index, ElementsAre(6));
  EXPECT_EQ(second->points, request.points);
}

// Another program may read the answer then: this one must not take it back.
TEST_F(ResumeTest, AnAnswerThatWasLeftIsNotResumed) {
  const uint64_t tag = submit();
  accept(tag);
  poll();
  client_->leave(tag);
  EXPECT_EQ(client_->num_open(), 0u);
  lose_and_connect();
  EXPECT_FALSE(coordinator_.next<door::Resume>());
}

TEST_F(ResumeTest, AnAnswerMayEndWithItsConnection) {
  const uint64_t tag = submit();
  accept(tag);
  poll();
  client_->end_with_connection(tag);
  const auto events = lose_and_connect();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
  EXPECT_FALSE(coordinator_.next<door::Resume>());
}

TEST_F(ResumeTest, NoncesAreAboveThoseOfTheCaller) {
  door::Submit request;
  request.nonce = UINT64_MAX / 2;
  const uint64_t tag = submit(request);
  accept(tag);
  poll();
  lose_and_connect();
  EXPECT_GT(coordinator_.next<door::Resume>()->nonce, request.nonce);
}

TEST_F(ResumeTest, QuestionsEndWithTheirConnection) {
  const uint64_t tag = client_->tokenize(door::Tokenize{0, std::string("x"), true, false}).value();
  const auto events = lose_and_connect();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
  EXPECT_EQ(std::get<door::Error>(events[0]).error_id, "TRI-NET-031");
}

}  // namespace client_resume_test
}  // namespace trireme

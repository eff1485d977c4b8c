// A Client for an event loop over connections that a test scripts, in fake time: it becomes ready,
// is lost and comes back; no call blocks. Without resume: each stream of a lost connection ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "clients/cpp/client.h"
#include "tests/clients/fake_coordinator.h"

namespace trireme {
namespace client_reconnect_test {

using testing::HasSubstr;
using Milliseconds = Client::Milliseconds;

class ReconnectTest : public testing::Test {
 protected:
  void open(ClientOptions options = {}) {
    options.resumes = false;
    options.clock = &clock_;
    auto client = Client::open(coordinator_.connector(), options);
    ASSERT_TRUE(client.ok()) << message_of(client.status());
    client_ = std::move(*client);
  }
  void open_ready(const ClientOptions& options = {}) {
    open(options);
    coordinator_.welcome();
    ASSERT_EQ(poll().size(), 1u);
    ASSERT_EQ(client_->state(), ClientState::kReady);
  }
  std::vector<ClientEvent> poll() {
    auto events = client_->poll(Milliseconds(0));
    EXPECT_TRUE(events.ok()) << message_of(events.status());
    return events.ok() ? std::move(*events) : std::vector<ClientEvent>();
  }
  uint64_t submit(const std::string& text = "x", CreditMode credit = CreditMode::kAutomatic) {
    door::Submit request;
    request.prompt = text;
    const auto tag = client_->submit(std::move(request), credit);
    EXPECT_TRUE(tag.ok()) << message_of(tag.status());
    return tag.ok() ? *tag : 0;
  }
  void advance(Milliseconds time) { clock_.advance_us(in_us(time)); }
  bool readable() const {
    pollfd item = {client_->descriptor(), POLLIN, 0};
    return ::poll(&item, 1, 0) > 0;
  }
  void send_piece(uint64_t tag, const std::string& text) {
    door::Piece piece;
    piece.tag = tag;
    piece.text = text;
    coordinator_.answer(door::Tokens{{piece}});
  }

  FakeClock clock_;
  FakeCoordinator coordinator_;
  std::unique_ptr<Client> client_;
};

template <class T>
const T& only(const std::vector<ClientEvent>& events) {
  EXPECT_EQ(events.size(), 1u);
  static const T none = {};
  if (events.empty()) return none;
  const T* value = std::get_if<T>(&events.front());
  EXPECT_NE(value, nullptr);
  return value != nullptr ? *value : none;
}

TEST_F(ReconnectTest, HelloGoesFirstAndWelcomeMakesTheClientReady) {
  open();
  EXPECT_EQ(client_->state(), ClientState::kConnecting);
  EXPECT_EQ(coordinator_.next<door::Hello>()->client, "trireme-cpp");
  EXPECT_TRUE(poll().empty());
  coordinator_.welcome(4'321);
  EXPECT_EQ(only<ConnectionChange>(poll()).state, ClientState::kReady);
  EXPECT_EQ(client_->welcome().default_credit_bytes, 4'321);
  EXPECT_EQ(client_->next_action_in(), std::nullopt);
}

TEST_F(ReconnectTest, ACoordinatorThatIsAwayIsTriedAgainAfterGrowingDelays) {
  coordinator_.accepts = false;
  open();
  EXPECT_EQ(coordinator_.attempts, 1);
  const int64_t whole_ms[] = {50, 100, 200, 400, 800, 1'600, 2'000, 2'000, 2'000};
  for (const int64_t whole : whole_ms) {
    const Milliseconds wait = client_->next_action_in().value();
    EXPECT_LE(wait.count(), whole);
    EXPECT_GE(wait.count(), whole / 2);
    const int attempts = coordinator_.attempts;
    advance(wait - Milliseconds(1));
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(coordinator_.attempts, attempts) << "too early";
    advance(Milliseconds(1));
    EXPECT_TRUE(poll().empty());
    EXPECT_EQ(coordinator_.attempts, attempts + 1);
  }
  coordinator_.accepts = true;
  advance(client_->next_action_in().value());
  poll();
  coordinator_.welcome();
  EXPECT_EQ(only<ConnectionChange>(poll()).state, ClientState::kReady);
  // After a Welcome the first delay is short again.
  coordinator_.newest().lost = true;
  poll();
  EXPECT_LE(client_->next_action_in().value(), Milliseconds(50));
}

TEST_F(ReconnectTest, ARequestWithoutAConnectionIsRefusedAtOnce) {
  open();
  const uint64_t tag = submit();
  EXPECT_TRUE(readable()) << "the refusal is an event";
  const auto events = poll();
  const auto& error = only<door::Error>(events);
  EXPECT_EQ(error.tag, tag);
  EXPECT_EQ(error.error_id, "TRI-NET-032");
  EXPECT_EQ(error.kind, door::ErrorKind::kUnavailable);
  EXPECT_GT(error.retry_after_ms, 0);
  EXPECT_EQ(client_->num_open(), 0u);
  EXPECT_FALSE(readable());
  EXPECT_EQ(error_id(client_->ask_ping().status()), "TRI-NET-032");
  EXPECT_EQ(error_id(client_->ask_models()), "TRI-NET-032");
}

TEST_F(ReconnectTest, StreamsOfALostConnectionEndAndTheNextConnectionServesNewOnes) {
  open_ready();
  const uint64_t first = submit();
  const uint64_t second = submit();
  send_piece(first, "half");
  coordinator_.newest().lost = true;
  const auto events = poll();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(std::get<door::Piece>(events[0]).text, "half") << "events before the loss come first";
  for (const size_t index : {1u, 2u}) {
    const auto& error = std::get<door::Error>(events[index]);
    EXPECT_EQ(error.tag, index == 1 ? first : second);
    EXPECT_EQ(error.error_id, "TRI-NET-031");
    EXPECT_EQ(error.kind, door::ErrorKind::kUnavailable);
  }
  EXPECT_EQ(std::get<ConnectionChange>(events[3]).state, ClientState::kConnecting);
  EXPECT_EQ(std::get<ConnectionChange>(events[3]).error_id, "TRI-NET-031");
  EXPECT_EQ(client_->num_open(), 0u);
  EXPECT_TRUE(coordinator_.connections[0]->dropped);
  EXPECT_TRUE(client_->cancel(first).ok()) << "its end and the cancel may cross";

  advance(client_->next_action_in().value());
  poll();
  ASSERT_EQ(coordinator_.connections.size(), 2u);
  EXPECT_TRUE(coordinator_.next<door::Hello>());
  coordinator_.welcome(77);
  poll();
  EXPECT_EQ(client_->welcome().default_credit_bytes, 77);
  const uint64_t third = submit();
  EXPECT_GT(third, second) << "a tag is never used again";
  EXPECT_EQ(coordinator_.next<door::Submit>()->tag, third);
}

TEST_F(ReconnectTest, ARefusalOfTheConnectionIsReportedAndTriedAgain) {
  open_ready();
  const uint64_t tag = submit();
  door::Error error;
  error.error_id = "TRI-NET-009";
  error.message = "TRI-NET-009: too many malformed messages";
  error.closes = true;
  coordinator_.answer(error);
  const auto events = poll();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
  EXPECT_EQ(std::get<ConnectionChange>(events[1]).error_id, "TRI-NET-009");
  EXPECT_THAT(std::get<ConnectionChange>(events[1]).message, HasSubstr("too many malformed"));
  EXPECT_EQ(client_->state(), ClientState::kConnecting);
}

TEST_F(ReconnectTest, AFrameThatCannotBeReadEndsTheConnectionOnly) {
  open_ready();
  submit();
  coordinator_.newest().answers.emplace_back("\x01\x7F garbage");
  EXPECT_EQ(poll().size(), 2u);
  EXPECT_EQ(client_->state(), ClientState::kConnecting);
  EXPECT_TRUE(client_->next_action_in());
}

// The coordinator has dropped the connection and its last Error was lost.
TEST_F(ReconnectTest, AReadyClientThatIsToldToSayHelloHasLostItsConnection) {
  for (const bool closes : {true, false}) {  // minor 0 does not say that it closes
    open_ready();
    const uint64_t tag = submit();
    door::Error error;
    error.tag = tag;
    error.error_id = "TRI-NET-007";
    error.message = "TRI-NET-007: the first message of a connection was no Hello";
    error.closes = closes;
    coordinator_.answer(error);
    const auto events = poll();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
    EXPECT_EQ(std::get<ConnectionChange>(events[1]).error_id, "TRI-NET-007");
    EXPECT_EQ(client_->state(), ClientState::kConnecting);
  }
}

TEST_F(ReconnectTest, AnErrorAboutTheConnectionThatDoesNotCloseItIsAnEvent) {
  open_ready();
  door::Error error;
  error.error_id = "TRI-NET-005";
  coordinator_.answer(error);
  EXPECT_EQ(only<door::Error>(poll()).error_id, "TRI-NET-005");
  EXPECT_EQ(client_->state(), ClientState::kReady);
}

TEST_F(ReconnectTest, APeerThatTakesHelloAndStaysSilentIsGivenUp) {
  open();
  poll();
  EXPECT_EQ(client_->next_action_in(), Milliseconds(5'000));
  advance(Milliseconds(5'000));
  EXPECT_EQ(only<ConnectionChange>(poll()).error_id, "TRI-NET-032");
  EXPECT_TRUE(coordinator_.newest().dropped);
  EXPECT_EQ(client_->state(), ClientState::kConnecting);
}

TEST_F(ReconnectTest, ASocketThatIsNotConnectedYetHasNoDeadline) {
  coordinator_.new_connections_take_frames = false;
  open();
  EXPECT_TRUE(poll().empty());
  EXPECT_EQ(client_->next_action_in(), std::nullopt) << "the descriptor tells when it connects";
  advance(Milliseconds(3'600'000));
  EXPECT_TRUE(poll().empty());
  EXPECT_EQ(coordinator_.attempts, 1);
  coordinator_.newest().takes_frames = true;
  EXPECT_TRUE(poll().empty());
  EXPECT_TRUE(coordinator_.next<door::Hello>());
  EXPECT_EQ(client_->next_action_in(), Milliseconds(5'000));
}

TEST_F(ReconnectTest, FramesOfASlowPeerWaitInOrderAndWithinABound) {
  open_ready({.resumes = false, .max_unsent_bytes = 10'000});
  coordinator_.newest().takes_frames = false;
  std::vector<uint64_t> tags;
  for (int i = 0; i < 9; ++i) tags.push_back(submit(std::string(1'000, 'x')));
  EXPECT_TRUE(poll().empty());
  const uint64_t refused = submit(std::string(1'000, 'x'));
  const auto events = poll();
  EXPECT_EQ(only<door::Error>(events).tag, refused);
  EXPECT_EQ(only<door::Error>(events).error_id, "TRI-NET-030");
  EXPECT_EQ(only<door::Error>(events).kind, door::ErrorKind::kOverloaded);
  // A cancel finds room although no request does, once for each stream.
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(client_->cancel(tags[0]).ok());

  coordinator_.newest().takes_frames = true;
  EXPECT_TRUE(poll().empty());
  for (const uint64_t tag : tags) EXPECT_EQ(coordinator_.next<door::Submit>()->tag, tag);
  EXPECT_EQ(coordinator_.next<door::Cancel>()->tag, tags[0]);
  EXPECT_FALSE(coordinator_.next<door::Cancel>());
  EXPECT_EQ(client_->num_open(), 9u);
}

TEST_F(ReconnectTest, APeerThatTakesNothingForTooLongIsGivenUp) {
  open_ready();
  coordinator_.newest().takes_frames = false;
  const uint64_t tag = submit();
  EXPECT_EQ(client_->next_action_in(), Milliseconds(30'000));
  advance(Milliseconds(29'999));
  EXPECT_TRUE(poll().empty());
  advance(Milliseconds(1));
  const auto events = poll();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<door::Error>(events[0]).tag, tag);
  EXPECT_EQ(std::get<ConnectionChange>(events[1]).error_id, "TRI-NET-030");
}

TEST_F(ReconnectTest, AutomaticCreditIsGrantedAsEventsArrive) {
  open_ready();
  const uint64_t tag = submit();
  send_piece(tag, std::string(300, 'x'));
  poll();
  EXPECT_FALSE(coordinator_.next<door::Credit>()) << "less than half";
  send_piece(tag, std::string(300, 'x'));
  poll();
  EXPECT_EQ(coordinator_.next<door::Credit>(), (door::Credit{tag, 2 * (16 + 300)}));
}

TEST_F(ReconnectTest, ManualCreditIsGrantedByTheCallerAlone) {
  open_ready();
  const uint64_t tag = submit("x", CreditMode::kManual);
  send_piece(tag, std::string(700, 'x'));
  const auto events = poll();
  EXPECT_EQ(credit_cost(events.at(0)), 716);
  EXPECT_FALSE(coordinator_.next<door::Credit>());
  EXPECT_TRUE(client_->grant(tag, 400).ok());
  EXPECT_FALSE(coordinator_.next<door::Credit>()) << "small grants are joined";
  EXPECT_TRUE(client_->grant(tag, 316).ok());
  EXPECT_EQ(coordinator_.next<door::Credit>(), (door::Credit{tag, 716}));
  door::Finished finished;
  finished.tag = tag;
  finished.last_choice = true;
  coordinator_.answer(finished);
  poll();
  EXPECT_TRUE(client_->grant(tag, 716).ok());
  EXPECT_FALSE(coordinator_.next<door::Credit>()) << "the stream is over";
}

TEST_F(ReconnectTest, QuestionsAreAnsweredByEvents) {
  open_ready();
  const uint64_t nonce = client_->ask_ping().value();
  EXPECT_EQ(coordinator_.next<door::Ping>()->nonce, nonce);
  door::Pong pong;
  pong.nonce = nonce;
  coordinator_.answer(pong);
  EXPECT_EQ(only<door::Pong>(poll()).nonce, nonce);

  EXPECT_TRUE(client_->ask_models().ok());
  EXPECT_TRUE(coordinator_.next<door::ListModels>());
  coordinator_.answer(door::Models{{door::ModelInfo{}}});
  EXPECT_EQ(only<door::Models>(poll()).models.size(), 1u);

  EXPECT_TRUE(client_->ask_status().ok());
  EXPECT_TRUE(coordinator_.next<door::StatusRequest>());
  coordinator_.answer(door::StatusReply{});
  only<door::StatusReply>(poll());
}

TEST_F(ReconnectTest, TokenizingIsAnsweredOrRefusedUnderItsTag) {
  open_ready();
  door::Tokenize tokenize;
  tokenize.what = std::string("A vector");
  const uint64_t tag = client_->tokenize(tokenize).value();
  EXPECT_EQ(std::get<std::string>(coordinator_.next<door::Tokenize>()->what), "A vector");
  EXPECT_EQ(client_->num_open(), 1u);
  door::Tokenized tokenized;
  tokenized.tag = tag;
  tokenized.ids = {1, 2, 3};
  coordinator_.answer(tokenized);
  EXPECT_EQ(only<door::Tokenized>(poll()).ids.size(), 3u);
  EXPECT_EQ(client_->num_open(), 0u);

  const uint64_t other = client_->detokenize(door::Detokenize{0, {4}, true}).value();
  EXPECT_EQ(coordinator_.next<door::Detokenize>()->ids.at(0), 4);
  door::Detokenized detokenized;
  detokenized.tag = other;
  detokenized.text = "d";
  coordinator_.answer(detokenized);
  EXPECT_EQ(only<door::Detokenized>(poll()).text, "d");

  tokenize.what = std::string("\xFF");
  const uint64_t bad = client_->tokenize(tokenize).value();
  const auto events = poll();
  EXPECT_EQ(only<door::Error>(events).tag, bad);
  EXPECT_EQ(only<door::Error>(events).field, "prompt");
  EXPECT_EQ(only<door::Error>(events).kind, door::ErrorKind::kInvalid);
  EXPECT_FALSE(coordinator_.next<door::Tokenize>());

  client_->tokenize(door::Tokenize{0, std::string("x"), true, false}).value();
  coordinator_.newest().lost = true;
  EXPECT_EQ(std::get<door::Error>(poll().at(0)).error_id, "TRI-NET-031");
}

TEST_F(ReconnectTest, PartsAndBytesOfTokensCostCreditToo) {
  open_ready();
  const uint64_t tag = submit();
  door::Piece piece;
  piece.tag = tag;
  piece.parts = {{PartKind::kContent, 0, "", "", std::string(500, 'x')}};
  coordinator_.answer(door::Tokens{{piece}});
  const auto events = poll();
  EXPECT_EQ(credit_cost(events.at(0)), 16 + 16 + 500);
  EXPECT_EQ(coordinator_.next<door::Credit>(), (door::Credit{tag, 532}));
}

TEST_F(ReconnectTest, ProgressIsAnEventAndCostsNothing) {
  open_ready();
  const uint64_t tag = submit();
  coordinator_.answer(door::Progress{tag, 3, 0, 9});
  const auto events = poll();
  EXPECT_EQ(only<door::Progress>(events).queue_position, 3);
  EXPECT_EQ(credit_cost(events.at(0)), 0);
}

TEST_F(ReconnectTest, OnePollTakesABoundedNumberOfFramesAndTheDescriptorStaysReadable) {
  open_ready();
  const uint64_t tag = submit();
  for (int i = 0; i < 1'000; ++i) send_piece(tag, "");
  size_t received = 0;
  int polls = 0;
  while (received < 1'000 && polls < 100) {
    EXPECT_TRUE(polls == 0 || readable());
    received += poll().size();
    ++polls;
  }
  EXPECT_EQ(received, 1'000u);
  EXPECT_GT(polls, 2);
  EXPECT_FALSE(readable());
}

TEST_F(ReconnectTest, ACloseIsFinalAndSilent) {
  open_ready();
  submit();
  client_->close();
  EXPECT_EQ(client_->state(), ClientState::kClosed);
  EXPECT_TRUE(coordinator_.newest().dropped);
  advance(Milliseconds(60'000));
  EXPECT_TRUE(poll().empty());
  EXPECT_EQ(coordinator_.attempts, 1);
  EXPECT_EQ(client_->next_action_in(), std::nullopt);
  submit();
  EXPECT_EQ(only<door::Error>(poll()).error_id, "TRI-NET-032");
}

}  // namespace client_reconnect_test
}  // namespace trireme

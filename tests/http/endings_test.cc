// How streams end: clients that leave, stall or read slowly, a coordinator that is lost, a drain.
#include "base/text.h"
#include "tests/http/http_fixture.h"

namespace trireme::gateway {
namespace endings_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr TimeUs kSecond = 1'000'000;
constexpr int kManyPieces = 200'000;  // more than the buffers of the kernel hold

class Endings : public HttpFixture {};

TEST_F(Endings, AClientThatLeavesWhileItWaitsCancels) {
  start();
  streaming_peer().leave();
  wait_until([&] { return !door_.cancelled.empty(); });
  EXPECT_THAT(door_.cancelled, ElementsAre(1));
  EXPECT_TRUE(gateway_->is_drained());
  door_.accept(1);  // late events are dropped
  door_.finish(1, door::FinishReason::kCancelled);
}

TEST_F(Endings, AClientThatResetsInMidStreamCancels) {
  start();
  Peer& asker = streaming_peer();
  door_.accept(1);
  door_.piece(1, "Hello");
  wait_until([&] { return asker.received.find("Hello") != std::string::npos; });
  asker.reset();
  wait_until([&] { return !door_.cancelled.empty(); });
  EXPECT_TRUE(gateway_->is_drained());
}

TEST_F(Endings, AClientThatLeavesAWholeAnswerCancels) {
  start();
  Peer& asker = peer();
  asker.send(post_bytes("/v1/chat/completions", kChat));
  wait_until([&] { return door_.submits.size() == 1; });
  door_.accept(1);
  door_.piece(1, "Hello");
  asker.leave();
  wait_until([&] { return !door_.cancelled.empty(); });
}

TEST_F(Endings, AnIdempotentRequestRunsOnWithoutItsClient) {
  start();
  Peer& asker = streaming_peer("Idempotency-Key: k1\r\n");
  EXPECT_EQ(door_.submits[0].on_disconnect, door::OnDisconnect::kContinue);
  door_.accept(1);
  asker.leave();
  wait_until([&] { return server_->num_connections() == 0; });
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(door_.piece(1, "x")) << "credit is given back";
  EXPECT_TRUE(gateway_->is_drained()) << "a drain leaves it to the coordinator";
  door_.finish(1);
  EXPECT_THAT(door_.cancelled, IsEmpty());
  EXPECT_TRUE(gateway_->is_drained());
}

TEST_F(Endings, AnswersThatRunOnTakeNoStreamOfOthersAndHaveABoundOfTheirOwn) {
  settings_.num_streams = 1;
  settings_.num_running_on = 1;
  start();
  for (const char* key : {"k1", "k2"}) {
    Peer& asker = streaming_peer(format_text("Idempotency-Key: {}\r\n", key));
    door_.accept(door_.submits.size());
    asker.leave();
    wait_until([&] { return server_->num_connections() == 0; });
  }
  EXPECT_THAT(door_.cancelled, ElementsAre(2)) << "the first runs on, the second has no room";
  door_.finish(1);
  streaming_peer("Idempotency-Key: k3\r\n").leave();
  wait_until([&] { return server_->num_connections() == 0; });
  EXPECT_THAT(door_.cancelled, ElementsAre(2)) << "there is room again";
}

TEST_F(Endings, AQuestionIsCancelledWhenItsClientLeavesOrItsTimeIsOver) {
  start();
  const std::string question = post_bytes(
      "/tokenize", R"({"model": "demo", "prompt": "Ahoy"})", "X-Request-Timeout-Ms: 1000\r\n");
  Peer& leaving = peer();
  leaving.send(question);
  wait_until([&] { return door_.questions == 1; });
  leaving.leave();
  wait_until([&] { return server_->num_connections() == 0; });
  EXPECT_THAT(door_.cancelled, ElementsAre(1));
  Peer& waiting = peer();
  waiting.send(question);
  wait_until([&] { return door_.questions == 2; });
  pass(2 * kSecond);
  std::string answer;
  wait_until([&] { return !(answer = waiting.take_answer()).empty(); });
  EXPECT_EQ(status_of(answer), 504);
  EXPECT_THAT(door_.cancelled, ElementsAre(1, 2));
}

TEST_F(Endings, AReaderThatStopsHoldsLittleAndLosesNothing) {
  start();
  Peer& asker = streaming_peer();
  asker.reads = false;
  Peer& other = streaming_peer();
  door_.accept(1);
  door_.accept(2);
  // Until the buffers of the kernel are full and the stream's credit is used up.
  int sent = 0;
  for (int silent = 0; silent < 50 && sent < kManyPieces;) {
    if (door_.piece(1, format_text("<{}>", sent))) {
      ++sent;
      silent = 0;
    } else {
      ++silent;
    }
    loop_.run_for(std::chrono::milliseconds(0));
  }
  EXPECT_GT(sent, 100);
  EXPECT_LT(sent, kManyPieces) << "credit is given back although nobody reads";
  EXPECT_TRUE(door_.piece(2, "other"));
  wait_until([&] { return other.received.find("other") != std::string::npos; });
  asker.reads = true;
  wait_until([&] { return door_.credit[1] > 0; });
  door_.finish(1);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  size_t at = 0;
  for (int i = 0; i < sent; ++i) {
    at = asker.received.find(format_text("<{}>", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(Endings, AReaderThatTakesNothingForAMinuteIsClosed) {
  start();
  Peer& asker = streaming_peer();
  asker.reads = false;
  door_.accept(1);
  int sent = 0;
  for (int silent = 0; silent < 50 && sent < kManyPieces; ++sent) {
    silent = door_.piece(1, "text") ? 0 : silent + 1;
    loop_.run_for(std::chrono::milliseconds(0));
  }
  clock_.advance_us(61 * kSecond);
  wait_until([&] { return !door_.cancelled.empty(); });
  EXPECT_EQ(server_->num_connections(), 0);
}

TEST_F(Endings, TheLossOfTheCoordinatorEndsStreamsAndReadiness) {
  start();
  Peer& streaming = streaming_peer();
  Peer& waiting = streaming_peer();
  door_.accept(1);
  door_.piece(1, "Hello");
  EXPECT_EQ(status_of(get("/ready")), 200);
  door_.lose();
  EXPECT_EQ(status_of(get("/ready")), 503);
  EXPECT_EQ(status_of(get("/live")), 200);
  wait_until([&] { return streaming.received.ends_with("0\r\n\r\n"); });
  EXPECT_THAT(streaming.received, HasSubstr("data: {\"error\""));
  std::string answer;
  wait_until([&] { return !(answer = waiting.take_answer()).empty(); });
  EXPECT_EQ(status_of(answer), 503);
  const std::string refused = post("/v1/chat/completions", kChat);
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_EQ(body_of(refused)["error"]["code"], "unreachable");
  door_.connect();
  EXPECT_EQ(status_of(get("/ready")), 503) << "no Pong yet";
  door_.pong(true);
  EXPECT_EQ(status_of(get("/ready")), 200);
}

TEST_F(Endings, ACoordinatorThatIsSilentForHalfAMinuteEndsStreams) {
  start();
  Peer& asker = streaming_peer();
  door_.accept(1);
  for (int second = 0; second < 30; ++second) pass(kSecond);
  EXPECT_FALSE(gateway_->is_drained());
  pass(kSecond);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_THAT(asker.received, HasSubstr("TRI-HTTP-016"));
  EXPECT_THAT(door_.cancelled, ElementsAre(1));
}

TEST_F(Endings, DrainingRefusesNewRequestsAndFinishesRunningOnes) {
  start();
  Peer& asker = streaming_peer();
  door_.accept(1);
  gateway_->drain();
  const std::string ready = get("/ready");
  EXPECT_EQ(status_of(ready), 503);
  EXPECT_EQ(body_of(ready)["status"], "draining");
  const std::string refused = post("/v1/chat/completions", kChat);
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_EQ(body_of(refused)["error"]["code"], "draining");
  EXPECT_FALSE(gateway_->is_drained());
  door_.piece(1, "last words");
  door_.finish(1);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_TRUE(gateway_->is_drained());
  server_->close();
  wait_until([&] { return server_->num_connections() == 0; });
}

}  // namespace endings_test
}  // namespace trireme::gateway

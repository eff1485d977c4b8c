// One connection without its socket: order of pipelined answers, forms of answers, limits of time.
#include "clients/gateway/http/http_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme::gateway {
namespace http_session_test {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr TimeUs kSecond = 1'000'000;
constexpr char kGet[] = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

// Keeps the newest exchange, and answers at once if told so.
class FakeHandler final : public HttpHandler, public HttpExchangeUser {
 public:
  std::optional<HttpResponse> on_head(const HttpRequest& request) override {
    if (request.target != "/refused") return std::nullopt;
    HttpResponse response;
    response.status = 404;
    return response;
  }
  void on_request(HttpExchange& exchange) override {
    targets.push_back(exchange.request().target);
    bodies.push_back(exchange.request().body);
    current = &exchange;
    exchange.set_user(this);
    if (answers_at_once) respond(exchange.request().target);
  }
  HttpResponse on_refusal(const HttpRequest& /*request*/, const HttpRefusal& refusal) override {
    HttpResponse response;
    response.status = refusal.status;
    response.body = refusal.message;
    return response;
  }
  void on_sent() override {}
  void on_gone(std::string_view reason) override { gone = reason; }

  void respond(const std::string& body) {
    HttpResponse response;
    response.body = body;
    std::exchange(current, nullptr)->respond(std::move(response));
  }

  bool answers_at_once = false;
  HttpExchange* current = nullptr;
  std::vector<std::string> targets;
  std::vector<std::string> bodies;
  std::string gone;
};

class HttpSessionTest : public testing::Test {
 protected:
  HttpSessionTest() : session_({limits_, handler_, clock_, all_bodies_bytes_, false, ""}, [] {}) {}

  void receive(const std::string& bytes) { session_.receive(bytes); }
  // All output, which the socket takes at once.
  std::string output() {
    std::string all;
    for (std::string some = session_.take_output(); !some.empty(); some = session_.take_output()) {
      session_.sent(some.size());
      all += some;
    }
    return all;
  }
  void wait(TimeUs time_us) {
    clock_.advance_us(time_us);
    session_.tick();
  }

  HttpLimits limits_;
  FakeClock clock_;
  FakeHandler handler_;
  int64_t all_bodies_bytes_ = 0;
  HttpSession session_;
};

TEST_F(HttpSessionTest, PipelinedRequestsAreAnsweredOneAfterAnother) {
  receive(std::string(kGet) + "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(handler_.targets, testing::ElementsAre("/a"));
  handler_.respond("first");
  EXPECT_THAT(handler_.targets, testing::ElementsAre("/a", "/b"));
  EXPECT_THAT(output(), testing::EndsWith("\r\n\r\nfirst"));
  handler_.respond("second");
  EXPECT_THAT(output(), testing::EndsWith("Content-Length: 6\r\n\r\nsecond"));
  EXPECT_TRUE(session_.is_idle());
}

TEST_F(HttpSessionTest, PipelinedRequestsWaitUntilTheirAnswersAreRead) {
  handler_.answers_at_once = true;
  std::string requests;
  for (int i = 0; i < 4000; ++i) requests += kGet;
  for (size_t at = 0; at < requests.size() && session_.wants_input(); at += 4096) {
    receive(requests.substr(at, 4096));
  }
  EXPECT_LT(session_.unsent_bytes(), 70'000);
  EXPECT_FALSE(session_.wants_input());
  output();
  EXPECT_TRUE(session_.wants_input());
}

TEST_F(HttpSessionTest, AClientThatPipelinesWithoutABoundIsClosed) {
  receive(kGet);
  const std::string more(4096, 'x');
  for (int64_t sent = 0; sent + 4096 < limits_.pipelined_bytes; sent += 4096) receive(more);
  EXPECT_TRUE(session_.wants_input()) << "else nobody would see the client leave";
  EXPECT_EQ(handler_.gone, "");
  receive(more);
  EXPECT_EQ(handler_.gone, "flooded");
  EXPECT_TRUE(session_.is_over());
}

TEST_F(HttpSessionTest, EveryAnswerHasItsDate) {
  handler_.answers_at_once = true;
  const testing::Matcher<std::string> has_date = testing::ContainsRegex(
      "\r\nDate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} "
      "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n");
  receive(kGet);
  EXPECT_THAT(output(), has_date);
  receive("GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(output(), has_date);
  handler_.answers_at_once = false;
  receive(kGet);
  handler_.current->begin({});
  EXPECT_THAT(output(), has_date);
}

TEST(HttpDate, HasTheFormOfTheStandard) {
  EXPECT_EQ(http_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(1'709'164'800), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST_F(HttpSessionTest, ABodyIsCountedUntilItIsTaken) {
  receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  EXPECT_EQ(all_bodies_bytes_, 3);
  receive("lo");
  EXPECT_EQ(all_bodies_bytes_, 5);
  EXPECT_EQ(handler_.current->take_request().body, "hello");
  EXPECT_EQ(all_bodies_bytes_, 0);
  handler_.respond("x");
  EXPECT_EQ(all_bodies_bytes_, 0);
}

TEST_F(HttpSessionTest, TooManyBytesOfAllBodiesRefuseTheOneThatGrows) {
  all_bodies_bytes_ = limits_.all_bodies_bytes - 2;
  receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(all_bodies_bytes_, limits_.all_bodies_bytes - 2);
}

TEST_F(HttpSessionTest, ContinueIsSentOnceAndNotForARefusedHead) {
  receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(output(), "HTTP/1.1 100 Continue\r\n\r\n");
  receive("{}");
  handler_.respond("x");
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 200 OK\r\n"));
  receive("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 404 "));
  EXPECT_TRUE(session_.ends_output());
}

TEST_F(HttpSessionTest, ARefusedHeadWithoutABodyKeepsTheConnection) {
  receive("GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 404 "));
  EXPECT_TRUE(session_.is_idle());
}

TEST_F(HttpSessionTest, HeadHasTheLengthAndNoBody) {
  handler_.answers_at_once = true;
  receive("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string answer = output();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpSessionTest, AStreamIsChunkedForHttp11AndRunsUntilCloseForHttp10) {
  receive(kGet);
  HttpExchange& first = *handler_.current;
  first.begin({});
  first.send("hello");
  first.send("");
  first.end();
  EXPECT_THAT(output(), testing::EndsWith("chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  EXPECT_TRUE(session_.is_idle());
  receive("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  HttpExchange& second = *handler_.current;
  second.begin({});
  second.send("hello");
  second.end();
  const std::string answer = output();
  EXPECT_THAT(answer, testing::Not(HasSubstr("chunked")));
  EXPECT_THAT(answer, testing::EndsWith("Connection: close\r\n\r\nhello"));
  EXPECT_TRUE(session_.ends_output());
}

TEST_F(HttpSessionTest, Http10KeepsAliveWithALength) {
  handler_.answers_at_once = true;
  receive("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(output(), HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_TRUE(session_.is_idle());
}

TEST_F(HttpSessionTest, AClientThatLeavesIsToldOnce) {
  receive(kGet);
  session_.receive_end();
  EXPECT_EQ(handler_.gone, "closed");
  EXPECT_TRUE(session_.is_over());
  handler_.gone = "";
  session_.receive_end();
  session_.abort("again");
  EXPECT_EQ(handler_.gone, "");
}

TEST_F(HttpSessionTest, AClientThatHasSentItsLastRequestStillGetsTheAnswer) {
  handler_.answers_at_once = true;
  receive(kGet);
  session_.receive_end();
  EXPECT_FALSE(session_.is_over());
  EXPECT_THAT(output(), testing::EndsWith("/a"));
}

TEST_F(HttpSessionTest, ASlowHeadIsRefusedAfterTenSeconds) {
  receive("GET / HT");
  wait(10 * kSecond);
  EXPECT_EQ(output(), "");
  wait(1);
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(session_.ends_output());
  wait(limits_.linger_us + 1);
  EXPECT_TRUE(session_.is_over());
}

TEST_F(HttpSessionTest, AConnectionWithoutAByteEndsAfterTenSecondsAndAnIdleOneAfter75) {
  handler_.answers_at_once = true;
  wait(10 * kSecond);
  EXPECT_FALSE(session_.is_over());
  receive(kGet);
  output();
  wait(75 * kSecond);
  EXPECT_FALSE(session_.is_over());
  wait(1);
  EXPECT_TRUE(session_.is_over());
  EXPECT_EQ(output(), "");
}

TEST_F(HttpSessionTest, ABodyNeedsFourKibPerSecondAfterTenSeconds) {
  receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  for (int second = 1; second <= 60; ++second) {
    receive(std::string(4096, 'x'));
    wait(kSecond);
    ASSERT_FALSE(session_.ends_output()) << second;
  }
  wait(10 * kSecond);
  EXPECT_EQ(output(), "");
  wait(kSecond);
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(HttpSessionTest, AClientThatTakesNothingForAMinuteIsClosed) {
  receive(kGet);
  HttpExchange& exchange = *handler_.current;
  exchange.begin({});
  std::string taken = session_.take_output();
  wait(59 * kSecond);
  session_.sent(1);  // a byte counts
  wait(60 * kSecond);
  EXPECT_FALSE(session_.is_over());
  wait(1);
  EXPECT_TRUE(session_.is_over());
  EXPECT_EQ(handler_.gone, "stalled");
}

TEST_F(HttpSessionTest, ASilentStreamIsNoStall) {
  receive(kGet);
  handler_.current->begin({});
  output();
  wait(1000 * kSecond);
  EXPECT_FALSE(session_.is_over());
  handler_.current->send("late");
  wait(kSecond);
  EXPECT_FALSE(session_.is_over());
}

TEST_F(HttpSessionTest, InputAfterALastAnswerIsDropped) {
  receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
  EXPECT_THAT(output(), StartsWith("HTTP/1.1 400 "));
  receive(kGet);
  EXPECT_THAT(handler_.targets, IsEmpty());
  EXPECT_EQ(output(), "");
  session_.receive_end();
  EXPECT_TRUE(session_.is_over());
}

}  // namespace http_session_test
}  // namespace trireme::gateway

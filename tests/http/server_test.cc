// The gateway over loopback with raw bytes: answers, refusals, limits.
#include <nlohmann/json.hpp>

#include "base/process_limits.h"
#include "base/text.h"
#include "tests/http/http_fixture.h"

namespace trireme::gateway {
namespace server_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr TimeUs kSecond = 1'000'000;

class Server : public HttpFixture {};

// ---- Answers

TEST_F(Server, AStreamedChatLeavesAsEventsAndTheConnectionGoesOn) {
  start();
  Peer& asker = streaming_peer();
  const door::Submit& submit = door_.submits.front();
  EXPECT_EQ(submit.on_disconnect, door::OnDisconnect::kCancel);
  EXPECT_EQ(submit.progress_interval_ms, 15'000);
  EXPECT_LE(submit.credit_bytes, (48 << 20) / 2048);
  loop_.run_for(std::chrono::milliseconds(5));
  asker.read();
  EXPECT_EQ(asker.received, "") << "the status line leaves with the acceptance";
  door_.accept(1);
  wait_until([&] { return asker.received.find("\r\n\r\n") != std::string::npos; });
  EXPECT_THAT(asker.received, HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("x-request-id: public1\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("request-id: public1\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("trireme-model-version: 3\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("Cache-Control: no-cache\r\n"));
  EXPECT_THAT(asker.received, HasSubstr("X-Accel-Buffering: no\r\n"));
  EXPECT_TRUE(door_.piece(1, "Hello "));
  wait_until([&] { return asker.received.find("Hello ") != std::string::npos; });
  EXPECT_TRUE(door_.piece(1, "there"));
  door_.finish(1);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_THAT(asker.received, HasSubstr("data: [DONE]\n\n"));
  EXPECT_TRUE(gateway_->is_drained());
  asker.received.clear();
  asker.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  wait_until([&] { return !asker.take_answer().empty(); });
}

TEST_F(Server, AWholeAnswerHasALength) {
  start();
  Peer& asker = peer();
  asker.send(post_bytes("/v1/chat/completions", kChat, "X-Request-Id: my.id:1\r\n"));
  wait_until([&] { return door_.submits.size() == 1; });
  EXPECT_EQ(door_.submits[0].client_request_id, "my.id:1");
  door_.accept(1);
  door_.piece(1, "Hello");
  EXPECT_EQ(door_.credit[1], door_.submits[0].credit_bytes) << "nothing waits for a socket";
  door_.finish(1);
  std::string answer;
  wait_until([&] { return !(answer = asker.take_answer()).empty(); });
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(body_of(answer)["choices"][0]["message"]["content"], "Hello");
  EXPECT_THAT(answer, HasSubstr("x-request-id: my.id:1\r\n"));
}

TEST_F(Server, PipelinedRequestsAreAnsweredInTheirOrder) {
  start();
  Peer& asker = peer();
  asker.send(post_bytes("/v1/chat/completions", kChat) +
             "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n" +
             post_bytes("/v1/chat/completions", kStreamedChat));
  wait_until([&] { return door_.submits.size() == 1; });
  door_.accept(1);
  door_.finish(1);
  wait_until([&] { return door_.submits.size() == 2; });
  wait_until([&] { return asker.received.find("\"live\"") != std::string::npos; });
  EXPECT_LT(asker.received.find("chat.completion"), asker.received.find("\"live\""));
  door_.accept(2);
  door_.finish(2);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
}

TEST_F(Server, Http10StreamsUntilClose) {
  start();
  Peer& asker = peer();
  asker.send(format_text("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}",
                         std::string(kStreamedChat).size(),
                         kStreamedChat));
  wait_until([&] { return door_.submits.size() == 1; });
  door_.accept(1);
  door_.piece(1, "Hello");
  door_.finish(1);
  wait_until([&] { return asker.closed; });
  EXPECT_THAT(asker.received, Not(HasSubstr("chunked")));
  EXPECT_THAT(asker.received, testing::EndsWith("data: [DONE]\n\n"));
}

TEST_F(Server, HeadAndOptionsNeedNoBody) {
  start();
  Peer& asker = peer();
  asker.send("HEAD /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  wait_until([&] { return asker.closed; });
  EXPECT_EQ(status_of(asker.received), 200);
  EXPECT_THAT(asker.received, HasSubstr("Content-Length: 13\r\n"));
  EXPECT_THAT(asker.received, testing::EndsWith("\r\n\r\n"));
  const std::string options = ask("OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(status_of(options), 204);
  EXPECT_THAT(options, HasSubstr("Allow: GET, HEAD, OPTIONS\r\n"));
  EXPECT_THAT(options, Not(HasSubstr("Access-Control")));
}

TEST_F(Server, ExpectIsAnsweredBeforeTheBody) {
  start();
  Peer& asker = peer();
  const std::string body = std::string(kChat) + std::string(2 << 20, ' ');
  asker.send(
      format_text("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                  "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                  body.size()));
  wait_until([&] { return asker.received == "HTTP/1.1 100 Continue\r\n\r\n"; });
  for (size_t at = 0; at < body.size(); at += 64 << 10) {
    asker.send(body.substr(at, 64 << 10));
    loop_.run_for(std::chrono::milliseconds(1));
  }
  wait_until([&] { return door_.submits.size() == 1; });
}

TEST_F(Server, ASilentStreamGetsCommentsWithTheProgress) {
  start();
  Peer& asker = streaming_peer();
  door_.accept(1);
  door_.say(door::Progress{1, 0, 4096, 9000});
  pass(14 * kSecond);
  loop_.run_for(std::chrono::milliseconds(5));
  asker.read();
  EXPECT_THAT(asker.received, Not(HasSubstr(": prefill")));
  pass(kSecond);
  wait_until([&] { return asker.received.find(": prefill 4096/9000\n\n") != std::string::npos; });
}

TEST_F(Server, AnExpiredDeadlineIs504EvenIfTheCoordinatorIsSilent) {
  start();
  Peer& asker = streaming_peer("X-Request-Timeout-Ms: 1000\r\n");
  EXPECT_EQ(door_.submits[0].deadline_ms, 1000);
  pass(4 * kSecond);
  std::string answer;
  wait_until([&] { return !(answer = asker.take_answer()).empty(); });
  EXPECT_EQ(status_of(answer), 504);
  EXPECT_THAT(door_.cancelled, ElementsAre(1));
  EXPECT_EQ(status_of(post("/v1/chat/completions", kChat, "X-Request-Timeout-Ms: soon\r\n")), 400);
}

// ---- Refusals

TEST_F(Server, ARefusalOfTheDoorIsAStatus) {
  start();
  Peer& asker = streaming_peer();
  door_.refuse(1, door::ErrorKind::kOverloaded, "TRI-REQ-081");
  std::string answer;
  wait_until([&] { return !(answer = asker.take_answer()).empty(); });
  EXPECT_EQ(status_of(answer), 429);
  EXPECT_THAT(answer, HasSubstr("Retry-After: 2\r\n"));
  EXPECT_THAT(answer, HasSubstr("retry-after-ms: 1500\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("x-should-retry")));
  EXPECT_THAT(body_of(answer)["error"]["message"].get<std::string>(),
              testing::StartsWith("TRI-REQ-081: "));
  EXPECT_TRUE(gateway_->is_drained());
}

TEST_F(Server, AFailureInMidStreamIsAnEventAndTheStreamEnds) {
  start();
  Peer& asker = streaming_peer();
  door_.accept(1);
  door_.piece(1, "Hello");
  door_.refuse(1, door::ErrorKind::kInternal, "TRI-REQ-086");
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_THAT(asker.received, HasSubstr("data: {\"error\""));
  EXPECT_THAT(asker.received, HasSubstr("data: [DONE]\n\n"));
}

TEST_F(Server, PathsMethodsAndTypesAreRefusedByStatus) {
  start();
  EXPECT_EQ(status_of(get("/v1/nothing")), 404);
  const std::string method = get("/v1/chat/completions");
  EXPECT_EQ(status_of(method), 405);
  EXPECT_THAT(method, HasSubstr("Allow: POST, OPTIONS\r\n"));
  EXPECT_THAT(method, HasSubstr("x-should-retry: false\r\n"));
  const std::string later = post("/v1/embeddings", "{}");
  EXPECT_EQ(status_of(later), 501);
  EXPECT_THAT(later, HasSubstr("TRI-HTTP-012"));
  EXPECT_EQ(status_of(get("/metrics")), 501);
  EXPECT_EQ(status_of(ask("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")),
            415);
  EXPECT_EQ(status_of(post("/v1/chat/completions", kChat, "Content-Encoding: gzip\r\n")), 415);
  EXPECT_EQ(status_of(post("/v1/chat/completions", "{")), 400);
  EXPECT_EQ(status_of(ask("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Length: 99999999\r\n\r\n")),
            413);
  EXPECT_THAT(door_.submits, IsEmpty());
}

TEST_F(Server, ErrorsOfTheMessagesPathHaveItsForm) {
  start();
  const nlohmann::json error = body_of(get("/v1/messages", "X-Request-Id: mine\r\n"));
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["request_id"], "mine");
}

TEST_F(Server, TwoLengthsCloseTheConnection) {
  start();
  Peer& asker = peer();
  asker.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
      "Content-Length: 40\r\n\r\n{}GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  wait_until([&] { return asker.closed; });
  EXPECT_EQ(status_of(asker.received), 400);
  EXPECT_THAT(asker.received, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(asker.received, Not(HasSubstr("live")));
}

TEST_F(Server, KeysAreNeededWhereTheTableSaysSo) {
  auto keys = ApiKeys::parse("alice sesame-1\nbob sesame-2\n", "keys");
  ASSERT_TRUE(keys.ok());
  settings_.keys = *keys;
  start();
  const std::string missing = get("/v1/models");
  EXPECT_EQ(status_of(missing), 401);
  EXPECT_THAT(missing, HasSubstr("WWW-Authenticate: Bearer\r\n"));
  EXPECT_EQ(body_of(missing)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(status_of(get("/v1/models", "Authorization: Bearer wrong\r\n")), 401);
  EXPECT_EQ(status_of(get("/v1/models", "Authorization: Bearer sesame-1\r\n")), 200);
  EXPECT_EQ(status_of(get("/v1/models", "x-api-key: sesame-2\r\n")), 200);
  for (const char* path : {"/live", "/health", "/ready", "/v2/health/live", "/v2/health/ready"}) {
    EXPECT_EQ(status_of(get(path)), 200) << path;
  }
  streaming_peer("Authorization: bearer sesame-2\r\n");
  EXPECT_EQ(door_.submits[0].principal, "bob");
  EXPECT_TRUE(door_.submits[0].share.starts_with("127.0.0.1:")) << door_.submits[0].share;
}

TEST_F(Server, AKeyThatIsRevokedBeforeItsBodyHasArrivedIsRefused) {
  const auto keys = ApiKeys::parse("alice sesame-1\nbob sesame-2\n", "keys");
  ASSERT_TRUE(keys.ok());
  settings_.keys = *keys;
  start();
  const std::string request = post_bytes("/v1/chat/completions",
                                         kChat,
                                         "Authorization: Bearer sesame-1\r\n"
                                         "Expect: 100-continue\r\n");
  const size_t body_at = request.find("\r\n\r\n") + 4;
  Peer& asker = peer();
  asker.send(request.substr(0, body_at));
  wait_until([&] { return !asker.take_answer().empty(); });  // 100 Continue
  auto fewer = ApiKeys::parse("bob sesame-2\n", "keys");
  ASSERT_TRUE(fewer.ok());
  gateway_->replace_keys(std::move(*fewer));
  asker.send(request.substr(body_at));
  std::string answer;
  wait_until([&] { return !(answer = asker.take_answer()).empty() || !door_.submits.empty(); });
  EXPECT_EQ(status_of(answer), 401);
  EXPECT_THAT(door_.submits, IsEmpty());
}

TEST_F(Server, PagesOfOtherOriginsAndReboundNamesAreRefused) {
  settings_.access.allowed_origins = {"https://page.example"};
  start();
  EXPECT_EQ(status_of(ask("GET /live HTTP/1.1\r\nHost: evil.example:8000\r\n\r\n")), 403);
  EXPECT_EQ(status_of(get("/live", "Origin: https://evil.example\r\n")), 403);
  EXPECT_EQ(status_of(get("/live", "Origin: null\r\n")), 403);
  EXPECT_EQ(status_of(get("/live", "Origin: http://localhost\r\n")), 200);
  const std::string allowed = get("/live", "Origin: https://page.example\r\n");
  EXPECT_EQ(status_of(allowed), 200);
  EXPECT_THAT(allowed, HasSubstr("Access-Control-Allow-Origin: https://page.example\r\n"));
  const std::string preflight =
      ask("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
          "Origin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n"
          "Access-Control-Request-Headers: authorization\r\n\r\n");
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_THAT(preflight, HasSubstr("Access-Control-Allow-Headers: authorization\r\n"));
  EXPECT_THAT(preflight, HasSubstr("Access-Control-Allow-Methods: POST, OPTIONS\r\n"));
}

// ---- Limits

TEST_F(Server, OneConnectionTooManyIsRefusedAtOnce) {
  raise_open_files(10'000);
  const int64_t room = (open_file_limit() - count_open_files() - 50) / 2;
  options_.limits.num_connections = static_cast<int>(std::min<int64_t>(4096, room));
  start();
  for (int i = 0; i < options_.limits.num_connections; ++i) {
    peer();
    // The listener's backlog is shorter.
    if (i % 500 == 499) wait_until([&] { return server_->num_connections() == i + 1; });
  }
  wait_until([&] { return server_->num_connections() == options_.limits.num_connections; });
  Peer& extra = peer();
  wait_until([&] { return extra.closed; });
  EXPECT_EQ(status_of(extra.received), 429);
  EXPECT_THAT(extra.received, HasSubstr("TRI-HTTP-009"));
  peers_[3]->leave();
  wait_until([&] { return server_->num_connections() < options_.limits.num_connections; });
  EXPECT_EQ(status_of(get("/live")), 200);
}

TEST_F(Server, TheRefusalOfAConnectionIsNotLostWithTheRequestOnIt) {
  options_.limits.num_connections = 1;
  start();
  peer();
  wait_until([&] { return server_->num_connections() == 1; });
  Peer& extra = peer();
  extra.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  wait_until([&] { return extra.closed; });
  EXPECT_EQ(status_of(extra.received), 429);
  EXPECT_THAT(extra.received, HasSubstr("\r\nDate: "));
  EXPECT_FALSE(extra.was_reset());
}

TEST_F(Server, OneStreamTooManyIs429) {
  settings_.num_streams = 2;
  start();
  streaming_peer();
  Peer& second = streaming_peer();
  EXPECT_EQ(status_of(post("/v1/chat/completions", kChat)), 429);
  second.leave();
  wait_until([&] { return door_.cancelled.size() == 1; });
  streaming_peer();
}

TEST_F(Server, ASlowHeadIs408) {
  start();
  Peer& asker = peer();
  asker.send("GET /live HTTP/1.1\r\nHost: loc");
  wait_until([&] { return server_->num_connections() == 1; });
  for (int i = 0; i < 5; ++i) loop_.run_for(std::chrono::milliseconds(1));
  pass(11 * kSecond);
  wait_until([&] { return asker.received.find("TRI-HTTP-007") != std::string::npos; });
  EXPECT_EQ(status_of(asker.received), 408);
}

TEST_F(Server, ASlowBodyIs408) {
  start();
  Peer& asker = peer();
  asker.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  wait_until([&] { return server_->num_connections() == 1; });
  for (int i = 0; i < 5; ++i) loop_.run_for(std::chrono::milliseconds(1));
  pass(11 * kSecond);
  wait_until([&] { return asker.received.find("TRI-HTTP-007") != std::string::npos; });
}

// ---- Models and health

TEST_F(Server, ModelsAreOneObjectForThreeClients) {
  start();
  const nlohmann::json list = body_of(get("/v1/models"));
  EXPECT_EQ(list["data"].size(), 2u);
  for (const char* path : {"/v1/models/demo",
                           "/v1/models/demo/versions/3",
                           "/v1/models/demo/labels/stable/metadata",
                           "/v1/models/demo/metadata"}) {
    EXPECT_EQ(body_of(get(path)), list["data"][0]) << path;
  }
  EXPECT_EQ(body_of(get("/v1/models/org/other")), list["data"][1]);
  EXPECT_EQ(body_of(get("/v1/models/org%2Fother/versions/3?x=y")), list["data"][1]);
  const nlohmann::json missing = body_of(get("/v1/models/none"));
  EXPECT_EQ(missing["error"]["code"], "model_not_found");
  EXPECT_THAT(missing["error"]["message"].get<std::string>(), HasSubstr("demo, org/other"));
  EXPECT_EQ(status_of(get("/v1/models/demo/versions/4")), 404);
  EXPECT_EQ(body_of(get("/v2/models/demo"))["versions"][0], "3");
  EXPECT_EQ(status_of(get("/v2/models/demo/ready")), 200);
}

TEST_F(Server, IsReadyOnceAGroupAndThePongAre) {
  start();
  EXPECT_TRUE(gateway_->is_ready());
  const door::Models models{door_.welcome().models};
  door::Models loading = models;
  for (door::ModelInfo& model : loading.models) model.max_model_len = 0;
  door_.say(loading);
  EXPECT_FALSE(gateway_->is_ready()) << "no group was ready";
  EXPECT_EQ(status_of(post("/v1/chat/completions", kChat)), 503);
  door_.say(models);
  EXPECT_TRUE(gateway_->is_ready());
  door_.pong(false);
  EXPECT_FALSE(gateway_->is_ready());
}

TEST_F(Server, ReadyFollowsThePong) {
  start();
  EXPECT_EQ(status_of(get("/health")), 200);
  door_.pong(false);
  EXPECT_EQ(status_of(get("/health")), 503);
  EXPECT_EQ(status_of(get("/v2/health/ready")), 400);
  door_.pong(true, /*draining=*/true);
  EXPECT_EQ(body_of(get("/ready"))["status"], "draining");
  door_.pong(true);
  clock_.advance_us(3 * kSecond);
  EXPECT_EQ(status_of(get("/ready")), 200);
  clock_.advance_us(1);
  EXPECT_EQ(body_of(get("/ready"))["status"], "silent");
}

}  // namespace server_test
}  // namespace trireme::gateway

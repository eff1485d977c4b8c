// Answers that are resumed over HTTP: tokens, ids of events, what is refused, and what happens to
// the requests of clients that leave.
#include "base/text.h"
#include "clients/gateway/resume_request.h"
#include "tests/http/http_fixture.h"

namespace trireme::gateway {
namespace resume_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kResumable[] = "Trireme-Resume: 1\r\n";

std::string header_of(const std::string& answer, const std::string& name) {
  const size_t at = answer.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 4;
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

std::string token_headers(const std::string& token, const std::string& id = "") {
  return "Trireme-Resume: " + token + "\r\n" + (id.empty() ? "" : "Last-Event-ID: " + id + "\r\n");
}

class Resume : public HttpFixture {
 protected:
  // A stream of three tokens, of which the client has the events of two; its token. The request has
  // tag 1 and the state of its client is kept as the coordinator would.
  std::string begin_stream() {
    Peer& asker = streaming_peer(kResumable);
    door_.accept(1);
    for (const char* text : {"one", "two"}) door_.piece(1, text);
    wait_until([&] { return asker.received.find("two") != std::string::npos; });
    first_part_ = asker.received;
    state_ = door_.submits[0].client_state;
    asker.leave();
    wait_until([&] { return server_->num_connections() == 0; });
    return header_of(first_part_, "Trireme-Resume");
  }

  // A client that asks for the rest; its Resume has reached the door.
  Peer& resuming_peer(const std::string& headers) {
    const size_t before = door_.resumes.size();
    Peer& asker = peer();
    asker.send("GET /trireme/v1/stream HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    wait_until([&] { return door_.resumes.size() > before; });
    return asker;
  }

  std::string answer_of(Peer& asker) {
    std::string answer;
    wait_until([&] { return !(answer = asker.take_answer()).empty(); });
    return answer;
  }

  // A piece of a completion; false: the stream has no credit.
  bool say_text(uint64_t tag, const std::string& text) {
    if (door_.credit[tag] <= 0) return false;
    door::Piece piece;
    piece.tag = tag;
    piece.first_index = door_.num_tokens[tag]++;
    piece.token_ids = {7};
    piece.text = text;
    door_.credit[tag] -= credit_cost(ClientEvent(piece));
    door_.say(piece);
    return true;
  }

  void expect_refusal(const std::string& answer, int status, const char* id) {
    EXPECT_EQ(status_of(answer), status) << answer;
    EXPECT_EQ(body_of(answer)["error"]["id"], id);
  }

  std::string first_part_;
  std::string state_;
};

TEST_F(Resume, AStreamHasATokenAndIdsOnlyWhereItIsAskedFor) {
  start();
  Peer& plain = streaming_peer();
  EXPECT_EQ(door_.submits[0].client_state, "");
  EXPECT_EQ(door_.submits[0].on_disconnect, door::OnDisconnect::kCancel);
  door_.accept(1);
  door_.piece(1, "one");
  wait_until([&] { return plain.received.find("one") != std::string::npos; });
  EXPECT_THAT(plain.received, Not(HasSubstr("Trireme-Resume")));
  EXPECT_THAT(plain.received, Not(HasSubstr("\nid: ")));
  Peer& asker = streaming_peer(kResumable);
  EXPECT_EQ(door_.submits[1].on_disconnect, door::OnDisconnect::kContinue);
  EXPECT_EQ(door_.submits[1].nonce, 0u) << "the client of the door counts them";
  door_.accept(2);
  door_.piece(2, "one");
  door_.finish(2);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_EQ(header_of(asker.received, "Trireme-Resume"), "MDAwMDAwMDAwMDAwMDAwMg");
  size_t at = 0;
  for (const char* id : {"0;0-1.1/1", "0;0-1.2/2", "1;0-e.1/3", "1;0-e.2/4"}) {
    at = asker.received.find(format_text("id: {}\ndata: ", id), at);
    EXPECT_NE(at, std::string::npos) << id;
  }
}

TEST_F(Resume, TheRestComesWithoutWhatTheClientHas) {
  start();
  const std::string token = begin_stream();
  Peer& asker = resuming_peer(token_headers(token, "1;0-2.1/3"));
  const door::Resume& resume = door_.resumes[0];
  EXPECT_EQ(resume.request_id, "0000000000000001");
  EXPECT_EQ(resume.nonce, 0u) << "the client of the door counts them";
  EXPECT_THAT(resume.next_index, IsEmpty());
  EXPECT_THAT(resume.points, ElementsAre(door::AnswerPoint{0, 1}, door::AnswerPoint{0, 2}));
  door_.accept(resume.tag, state_);
  door_.piece(resume.tag, "one");
  EXPECT_EQ(asker.received, "") << "a place that is not found would be a status";
  for (const char* text : {"two", "three"}) door_.piece(resume.tag, text);
  door_.finish(resume.tag);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_EQ(header_of(asker.received, "Trireme-Resume"), token);
  EXPECT_THAT(asker.received, Not(HasSubstr("one")));
  EXPECT_THAT(asker.received, Not(HasSubstr("two")));
  EXPECT_THAT(asker.received, Not(HasSubstr("\"role\"")));
  EXPECT_THAT(asker.received, HasSubstr("id: 2;0-3.1/4\n"));
  EXPECT_THAT(asker.received, HasSubstr("\"object\":\"chat.completion.chunk\""));
  EXPECT_THAT(asker.received, HasSubstr("data: [DONE]"));
  EXPECT_THAT(door_.cancelled, IsEmpty());
}

TEST_F(Resume, WithoutAnEventTheWholeStreamComes) {
  start();
  Peer& asker = resuming_peer(token_headers(begin_stream()));
  EXPECT_THAT(door_.resumes[0].points, IsEmpty());
  const uint64_t tag = door_.resumes[0].tag;
  door_.accept(tag, state_);
  wait_until([&] { return asker.received.find("text/event-stream") != std::string::npos; });
  door_.piece(tag, "one");
  door_.finish(tag);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_THAT(asker.received, HasSubstr("id: 0;0-1.1/1\n"));
}

TEST_F(Resume, AClientThatLeavesDoesNotCancel) {
  start();
  const std::string token = begin_stream();
  EXPECT_TRUE(gateway_->is_drained());
  EXPECT_THAT(door_.ending_with_connection, ElementsAre(1)) << "another may read it by then";
  Peer& asker = resuming_peer(token_headers(token));
  door_.accept(2, state_);
  door_.piece(2, "one");
  asker.reset();
  wait_until([&] { return server_->num_connections() == 0; });
  resuming_peer(token_headers(token)).leave();
  wait_until([&] { return server_->num_connections() == 0; });
  EXPECT_THAT(door_.cancelled, IsEmpty());
  streaming_peer(kResumable).leave();
  wait_until([&] { return server_->num_connections() == 0; });
  EXPECT_THAT(door_.cancelled, ElementsAre(4)) << "before it had the token";
}

TEST_F(Resume, WithoutRoomToRunOnTheAnswerIsKeptUnread) {
  settings_.num_running_on = 0;
  start();
  begin_stream();
  EXPECT_THAT(door_.cancelled, IsEmpty());
  EXPECT_THAT(door_.left, ElementsAre(1));
  EXPECT_TRUE(gateway_->is_drained());
}

TEST_F(Resume, WrongHeadersAreRefusedWithoutTheDoor) {
  start();
  for (const std::string& headers : {std::string(),
                                     token_headers("1"),
                                     token_headers("MDAwMDAwMDAwMDAwMDAwMg=="),
                                     token_headers("MDAwMDAwMDAwMDAwMDAwMg", "7"),
                                     token_headers("MDAwMDAwMDAwMDAwMDAwMg", "0;0-0.1/1")}) {
    expect_refusal(get("/trireme/v1/stream", headers), 400, "TRI-HTTP-034");
  }
  EXPECT_THAT(door_.resumes, IsEmpty());
  expect_refusal(
      post("/v1/chat/completions", kStreamedChat, token_headers("2")), 400, "TRI-HTTP-034");
  expect_refusal(post("/v1/chat/completions", kChat, kResumable), 400, "TRI-HTTP-035");
  EXPECT_THAT(door_.submits, IsEmpty());
}

TEST_F(Resume, AnUnknownAnswerIsNotFound) {
  start();
  Peer& asker = resuming_peer(token_headers("MDAwMDAwMDAwMDAwMDAwMg"));
  door_.refuse(1, door::ErrorKind::kNotFound, "TRI-REQ-037");
  const std::string answer = answer_of(asker);
  expect_refusal(answer, 404, "TRI-REQ-037");
  EXPECT_THAT(answer, Not(HasSubstr("MDAwMDAw")));
}

TEST_F(Resume, AnEventOfAnotherAnswerIsRefusedAndEndsNothing) {
  start();
  const std::string token = begin_stream();
  Peer& one = resuming_peer(token_headers(token, "0,0;1-3.1/9"));
  door_.accept(2, state_);
  expect_refusal(answer_of(one), 400, "TRI-HTTP-034");
  Peer& other = resuming_peer(token_headers(token, "0;0-9.1/9"));
  door_.accept(3, state_);
  door_.piece(3, "one");
  door_.finish(3);
  expect_refusal(answer_of(other), 400, "TRI-HTTP-034");
  Peer& third = resuming_peer(token_headers(token, "0,0;1-3.1/9"));
  door_.refuse(4, door::ErrorKind::kInvalid, "TRI-REQ-098");
  expect_refusal(answer_of(third), 400, "TRI-HTTP-034");
  EXPECT_THAT(door_.cancelled, IsEmpty());
}

TEST_F(Resume, AnAnswerOfAnotherClientIsRefusedAndEndsNothing) {
  start();
  const std::string token = begin_stream();
  for (const char* state : {"", "{\"version\":2}"}) {
    Peer& asker = resuming_peer(token_headers(token));
    door_.accept(door_.resumes.back().tag, state);
    expect_refusal(answer_of(asker), 400, "TRI-HTTP-036");
  }
  EXPECT_THAT(door_.cancelled, IsEmpty());
}

TEST_F(Resume, AfterAClockThatWentBackItAsksOnceMore) {
  start();
  Peer& asker = resuming_peer(token_headers(begin_stream()));
  constexpr uint64_t winner = 1'000'000'000;
  const auto lose = [&](uint64_t tag) {
    door::Error error;
    error.tag = tag;
    error.kind = door::ErrorKind::kConflict;
    error.error_id = "TRI-REQ-039";
    error.message = "TRI-REQ-039: taken over";
    error.nonce = winner;
    door_.say(error);
  };
  lose(2);
  ASSERT_EQ(door_.resumes.size(), 2u);
  EXPECT_EQ(door_.resumes[1].nonce, winner + 1);
  EXPECT_EQ(door_.resumes[1].request_id, door_.resumes[0].request_id);
  door_.accept(3, state_);
  door_.piece(3, "one");
  wait_until([&] { return asker.received.find("one") != std::string::npos; });
  lose(3);
  wait_until([&] { return asker.received.ends_with("0\r\n\r\n"); });
  EXPECT_EQ(door_.resumes.size(), 2u) << "another reader has the answer now";
  EXPECT_THAT(asker.received, HasSubstr("data: {\"error\""));
  resuming_peer(token_headers("MDAwMDAwMDAwMDAwMDAwMg"));
  EXPECT_EQ(door_.resumes[2].nonce, 0u);
  lose(4);
  lose(5);
  EXPECT_EQ(door_.resumes.size(), 4u) << "once";
}

TEST_F(Resume, AHeadTakesNoAnswerOver) {
  start();
  const std::string token = "MDAwMDAwMDAwMDAwMDAwMg";
  const std::string head = "HEAD /trireme/v1/stream HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_EQ(status_of(ask(head + token_headers(token) + "\r\n")), 200);
  EXPECT_THAT(door_.resumes, IsEmpty());
}

TEST_F(Resume, NeedsAKeyWhereKeysAreNeeded) {
  settings_.keys = *ApiKeys::parse("me secret", "keys");
  start();
  const std::string token = token_headers("MDAwMDAwMDAwMDAwMDAwMg");
  EXPECT_EQ(status_of(get("/trireme/v1/stream", token)), 401);
  resuming_peer(token + "x-api-key: secret\r\n");
}

// Prompt 0 is far ahead of the event; its pieces wait within the credit of its stream.
TEST_F(Resume, APromptThatIsAheadIsHeldWithinItsCredit) {
  start();
  Peer& first = peer();
  first.send(post_bytes(
      "/v1/completions", R"({"model":"demo","prompt":["a","b"],"stream":true})", kResumable));
  wait_until([&] { return door_.submits.size() == 2; });
  const std::string state = door_.submits[0].client_state;
  const std::string token = resume_token({"0000000000000001", "0000000000000002"});
  Peer& asker = resuming_peer(token_headers(token, "0,2;1-3.1/9"));
  wait_until([&] { return door_.resumes.size() == 2; });
  const uint64_t ahead = door_.resumes[0].tag;
  const uint64_t behind = door_.resumes[1].tag;
  for (const uint64_t tag : {ahead, behind}) door_.accept(tag, state);
  int sent = 0;
  while (say_text(ahead, format_text("<{}>", sent))) ASSERT_LT(++sent, 1000);
  EXPECT_GT(sent, 10);
  EXPECT_EQ(asker.received, "");
  door::Piece piece;
  piece.tag = behind;
  piece.token_ids = {7, 7};
  piece.text = "known";
  door_.say(piece);
  piece.first_index = 2;
  piece.token_ids = {7};
  door_.say(piece);
  wait_until([&] { return asker.received.find("<9>") != std::string::npos; });
  EXPECT_THAT(asker.received, Not(HasSubstr("known")));
  EXPECT_TRUE(say_text(ahead, "more")) << "its credit is given back";
}

}  // namespace resume_test
}  // namespace trireme::gateway

#include "tests/http/http_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>

#include "base/text.h"

namespace trireme::gateway {

const char kStreamedChat[] =
    R"({"model": "demo", "stream": true, "messages": [{"role": "user", "content": "Ahoy"}]})";
const char kChat[] = R"({"model": "demo", "messages": [{"role": "user", "content": "Ahoy"}]})";

FakeDoor::FakeDoor() {
  door::ModelInfo model;
  model.name = "demo";
  model.max_model_len = 1024;
  model.has_tokenizer = true;
  model.ready_groups = 1;
  model.version = "3";
  model.labels = {"stable"};
  model.state = "AVAILABLE";
  model.chat = {true, "", true, true, true};
  welcome_.models.push_back(model);
  model.name = "org/other";
  welcome_.models.push_back(model);
}

StatusOr<uint64_t> FakeDoor::submit(door::Submit request) {
  request.tag = next_tag_++;
  credit[request.tag] = request.credit_bytes;
  submits.push_back(std::move(request));
  return submits.back().tag;
}

StatusOr<uint64_t> FakeDoor::resume(door::Resume request) {
  request.tag = next_tag_++;
  credit[request.tag] = request.credit_bytes;
  resumes.push_back(std::move(request));
  return resumes.back().tag;
}

StatusOr<uint64_t> FakeDoor::tokenize(door::Tokenize /*question*/) {
  ++questions;
  return next_tag_++;
}

StatusOr<uint64_t> FakeDoor::detokenize(door::Detokenize /*question*/) {
  ++questions;
  return next_tag_++;
}

void FakeDoor::connect() {
  connected = true;
  say(ConnectionChange{ClientState::kReady, "", ""});
}

void FakeDoor::lose() {
  connected = false;
  for (const door::Submit& request : submits) {
    refuse(request.tag, door::ErrorKind::kUnavailable, "TRI-NET-031");
  }
  say(ConnectionChange{ClientState::kConnecting, "TRI-NET-031", "TRI-NET-031: lost"});
}

void FakeDoor::pong(bool healthy, bool draining) {
  door::Pong pong;
  pong.healthy = healthy;
  pong.reason = healthy ? "" : "no group is ready";
  pong.draining = draining;
  say(pong);
}

void FakeDoor::accept(uint64_t tag, const std::string& client_state) {
  door::Accepted accepted;
  accepted.tag = tag;
  accepted.request_id = format_text("{:016}", tag);
  for (const door::Resume& resume : resumes) {
    if (resume.tag == tag) accepted.request_id = resume.request_id;
  }
  accepted.repeated_key = !client_state.empty();
  accepted.client_state = client_state;
  accepted.public_id = format_text("public{}", tag);
  accepted.model = "demo";
  accepted.version = "3";
  accepted.prompt_tokens = 5;
  say(accepted);
}

bool FakeDoor::piece(uint64_t tag, const std::string& text) {
  if (credit[tag] <= 0) return false;
  door::Piece piece;
  piece.tag = tag;
  piece.first_index = num_tokens[tag]++;
  piece.token_ids = {7};
  AnswerPart part;
  part.text = text;
  piece.parts.push_back(part);
  const ClientEvent event = piece;
  credit[tag] -= credit_cost(event);
  say(event);
  return true;
}

void FakeDoor::finish(uint64_t tag, door::FinishReason reason) {
  door::Finished finished;
  finished.tag = tag;
  finished.reason = reason;
  finished.prompt_tokens = 5;
  finished.output_tokens = num_tokens[tag];
  finished.last_choice = true;
  say(finished);
}

void FakeDoor::refuse(uint64_t tag, door::ErrorKind kind, const std::string& id) {
  door::Error error;
  error.tag = tag;
  error.kind = kind;
  error.error_id = id;
  error.message = id + ": words";
  error.retry_after_ms = kind == door::ErrorKind::kOverloaded ? 1500 : 0;
  say(error);
}

Peer::Peer(int port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // The kernel completes the connection before the server accepts it.
  EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::fcntl(fd_, F_SETFL, O_NONBLOCK);
}

Peer::~Peer() { leave(); }

void Peer::leave() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  closed = true;
}

void Peer::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  leave();
}

void Peer::send(const std::string& bytes) const {
  EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

bool Peer::was_reset() const {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error != 0;
}

void Peer::read() {
  char buffer[64 << 10];
  while (!closed) {
    const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size > 0) {
      received.append(buffer, static_cast<size_t>(size));
    } else if (size == 0 || errno == ECONNRESET) {
      closed = true;
    } else {
      return;
    }
  }
}

std::string Peer::take_answer() {
  const size_t head = received.find("\r\n\r\n");
  if (head == std::string::npos) return "";
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t length_at = received.find(kLength);
  size_t length = 0;
  if (length_at < head) {
    std::from_chars(received.data() + length_at + kLength.size(), received.data() + head, length);
  }
  const size_t size = head + 4 + length;
  if (received.size() < size) return "";
  std::string answer = received.substr(0, size);
  received.erase(0, size);
  return answer;
}

void HttpFixture::start() {
  gateway_ = std::make_unique<Gateway>(settings_, door_, clock_);
  door_.listen(*gateway_);
  auto server = HttpServer::listen(options_, loop_, *gateway_, clock_);
  ASSERT_TRUE(server.ok()) << message_of(server.status());
  server_ = std::move(*server);
  door_.connect();
  door_.pong(true);
}

Peer& HttpFixture::peer() { return *peers_.emplace_back(std::make_unique<Peer>(server_->port())); }

void HttpFixture::wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nothing came";
    loop_.run_for(std::chrono::milliseconds(2));
    for (const auto& peer : peers_) {
      if (peer->reads) peer->read();
    }
  }
}

std::string HttpFixture::ask(const std::string& request) {
  Peer& asker = peer();
  asker.send(request);
  std::string answer;
  wait_until([&] {
    answer = asker.take_answer();
    return !answer.empty();
  });
  asker.leave();
  return answer;
}

std::string HttpFixture::get(const std::string& path, const std::string& headers) {
  return ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
}

std::string HttpFixture::post_bytes(const std::string& path,
                                    const std::string& body,
                                    const std::string& headers) {
  return format_text(
      "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n{}\r\n{}",
      path,
      body.size(),
      headers,
      body);
}

std::string HttpFixture::post(const std::string& path,
                              const std::string& body,
                              const std::string& headers) {
  return ask(post_bytes(path, body, headers));
}

Peer& HttpFixture::streaming_peer(const std::string& headers) {
  const size_t before = door_.submits.size();
  Peer& asker = peer();
  asker.send(post_bytes("/v1/chat/completions", kStreamedChat, headers));
  wait_until([&] { return door_.submits.size() > before; });
  return asker;
}

void HttpFixture::pass(TimeUs time_us) {
  clock_.advance_us(time_us);
  gateway_->tick();
}

int status_of(const std::string& answer) {
  int status = 0;
  if (answer.size() > 12) std::from_chars(answer.data() + 9, answer.data() + 12, status);
  return status;
}

nlohmann::json body_of(const std::string& answer) {
  return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
}

}  // namespace trireme::gateway

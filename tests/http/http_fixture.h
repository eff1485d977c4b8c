// A Gateway behind a real HttpServer on loopback, in front of a door that the test plays, and peers
// that send raw bytes. One thread: wait_until() runs the loop and reads what the peers receive.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "clients/gateway/gateway.h"
#include "clients/gateway/http/event_loop.h"
#include "clients/gateway/http/http_server.h"

namespace trireme::gateway {

// Keeps what it is asked and says what the test wants, within the credit of a stream.
class FakeDoor final : public DoorLink {
 public:
  FakeDoor();
  void listen(DoorListener& listener) { listener_ = &listener; }

  bool is_connected() const override { return connected; }
  const door::Welcome& welcome() const override { return welcome_; }
  StatusOr<uint64_t> submit(door::Submit request) override;
  StatusOr<uint64_t> resume(door::Resume request) override;
  StatusOr<uint64_t> tokenize(door::Tokenize question) override;
  StatusOr<uint64_t> detokenize(door::Detokenize question) override;
  void cancel(uint64_t tag) override { cancelled.push_back(tag); }
  void leave(uint64_t tag) override { left.push_back(tag); }
  void end_with_connection(uint64_t tag) override { ending_with_connection.push_back(tag); }
  void grant(uint64_t tag, int64_t bytes) override { credit[tag] += bytes; }
  void ask_ping() override { ++pings; }
  void ask_models() override {}
  void ask_status() override {}

  void connect();
  void lose();  // the connection, with its streams
  void say(ClientEvent event) { listener_->on_door_event(std::move(event)); }
  void pong(bool healthy, bool draining = false);
  // `client_state`: of a Resume, whose tag this is.
  void accept(uint64_t tag, const std::string& client_state = "");
  // False: the stream has no credit.
  bool piece(uint64_t tag, const std::string& text);
  void finish(uint64_t tag, door::FinishReason reason = door::FinishReason::kStop);
  void refuse(uint64_t tag, door::ErrorKind kind, const std::string& id);

  bool connected = false;
  int pings = 0;
  int questions = 0;
  std::vector<door::Submit> submits;
  std::vector<door::Resume> resumes;
  std::vector<uint64_t> cancelled;
  std::vector<uint64_t> left;
  std::vector<uint64_t> ending_with_connection;
  std::map<uint64_t, int64_t> credit;
  std::map<uint64_t, int32_t> num_tokens;

 private:
  door::Welcome welcome_;
  DoorListener* listener_ = nullptr;
  uint64_t next_tag_ = 1;
};

// A client of raw bytes.
class Peer {
 public:
  explicit Peer(int port);
  ~Peer();
  Peer(const Peer&) = delete;

  void send(const std::string& bytes) const;
  void read();  // what has arrived, without waiting
  void leave();
  void reset();  // closes with a TCP reset

  // The first whole answer with a length, taken out of `received`; "" if there is none.
  std::string take_answer();

  // Whether the server has reset the connection.
  bool was_reset() const;

  bool reads = true;  // wait_until() reads it
  bool closed = false;
  std::string received;

 private:
  int fd_ = -1;
};

class HttpFixture : public testing::Test {
 protected:
  // Options may be changed before.
  void start();
  Peer& peer();  // a new one
  // Fails the test if it does not come within 10 s of real time.
  void wait_until(const std::function<bool()>& condition);
  // Sends a request and waits for its whole answer.
  std::string ask(const std::string& request);
  std::string get(const std::string& path, const std::string& headers = "");
  std::string post(const std::string& path,
                   const std::string& body,
                   const std::string& headers = "");
  static std::string post_bytes(const std::string& path,
                                const std::string& body,
                                const std::string& headers = "");
  // A peer whose streamed chat has reached the door as its newest request.
  Peer& streaming_peer(const std::string& headers = "");
  void pass(TimeUs time_us);

  GatewaySettings settings_;
  HttpServerOptions options_;
  EventLoop loop_;
  FakeClock clock_;
  FakeDoor door_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> server_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

int status_of(const std::string& answer);
nlohmann::json body_of(const std::string& answer);

extern const char kStreamedChat[];
extern const char kChat[];

}  // namespace trireme::gateway

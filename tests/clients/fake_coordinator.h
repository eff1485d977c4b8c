// The coordinator's end of a Client as plain values: connections that a test accepts, answers,
// holds up and loses. Used by one thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clients/cpp/client_transport.h"
#include "proto/client_codec.h"

namespace trireme {

class FakeCoordinator {
 public:
  struct Connection {
    bool takes_frames = true;
    bool lost = false;
    bool dropped = false;  // the Client has let it go
    std::deque<std::string> received;
    std::deque<std::string> answers;
  };

  bool accepts = true;  // false: a connection cannot even be started
  bool new_connections_take_frames = true;
  int attempts = 0;
  std::vector<std::shared_ptr<Connection>> connections;

  std::unique_ptr<ClientConnector> connector() { return std::make_unique<Connector>(*this); }

  Connection& newest() { return *connections.back(); }
  void answer(const door::ToClient& message) {
    codec_.encode(message, newest().answers.emplace_back());
  }
  void welcome(int64_t default_credit_bytes = 1'000) {
    door::Welcome welcome;
    welcome.default_credit_bytes = default_credit_bytes;
    answer(welcome);
  }
  // The oldest message of type T among those received, which is removed with all before it.
  template <class T>
  std::optional<T> next() {
    while (!newest().received.empty()) {
      auto message = codec_.decode_from_client(newest().received.front());
      newest().received.pop_front();
      if (!message.ok()) continue;
      if (auto* value = std::get_if<T>(&*message)) return std::move(*value);
    }
    return std::nullopt;
  }

 private:
  class Transport final : public ClientTransport {
   public:
    explicit Transport(std::shared_ptr<Connection> connection)
        : connection_(std::move(connection)) {}
    ~Transport() override { connection_->dropped = true; }

    bool send(const std::string& frame) override {
      if (!connection_->takes_frames) return false;
      connection_->received.push_back(frame);
      return true;
    }
    StatusOr<std::optional<std::string>> receive() override {
      if (connection_->answers.empty()) {
        if (connection_->lost) return unavailable("TRI-NET-031", "the connection was lost");
        return std::optional<std::string>();
      }
      std::string frame = std::move(connection_->answers.front());
      connection_->answers.pop_front();
      return std::optional<std::string>(std::move(frame));
    }
    bool is_ready(bool to_send) override {
      return !connection_->answers.empty() || connection_->lost ||
             (to_send && connection_->takes_frames);
    }
    std::vector<int> descriptors() const override { return {}; }

   private:
    const std::shared_ptr<Connection> connection_;  // the other owner is the test
  };

  class Connector final : public ClientConnector {
   public:
    explicit Connector(FakeCoordinator& coordinator) : coordinator_(coordinator) {}
    StatusOr<std::unique_ptr<ClientTransport>> start() override {
      ++coordinator_.attempts;
      if (!coordinator_.accepts) return unavailable("TRI-NET-032", "nobody is there");
      coordinator_.connections.push_back(std::make_shared<Connection>());
      coordinator_.newest().takes_frames = coordinator_.new_connections_take_frames;
      return std::unique_ptr<ClientTransport>(
          std::make_unique<Transport>(coordinator_.connections.back()));
    }

   private:
    FakeCoordinator& coordinator_;
  };

  ClientCodec codec_;
};

}  // namespace trireme

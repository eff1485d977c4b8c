// A DoorLink over clients/cpp: one connection in the event loop, made again after a loss. Used by
// the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "clients/cpp/client.h"
#include "clients/gateway/door_link.h"
#include "clients/gateway/http/event_loop.h"

namespace trireme::gateway {

class ClientDoor final : public DoorLink {
 public:
  // `loop` outlives the door. TRI-NET-033: a malformed endpoint; TRI-UP-041: too few open files.
  static StatusOr<std::unique_ptr<ClientDoor>> open(const std::string& endpoint, EventLoop& loop);
  ~ClientDoor() override;

  // Events come from here on.
  void start(DoorListener& listener);

  bool is_connected() const override { return client_->state() == ClientState::kReady; }
  const door::Welcome& welcome() const override { return client_->welcome(); }
  StatusOr<uint64_t> submit(door::Submit request) override;
  StatusOr<uint64_t> resume(door::Resume request) override;
  StatusOr<uint64_t> tokenize(door::Tokenize question) override;
  StatusOr<uint64_t> detokenize(door::Detokenize question) override;
  void cancel(uint64_t tag) override;
  void leave(uint64_t tag) override;
  void end_with_connection(uint64_t tag) override;
  void grant(uint64_t tag, int64_t bytes) override;
  void ask_ping() override;
  void ask_models() override;
  void ask_status() override;

 private:
  ClientDoor(std::unique_ptr<Client> client, EventLoop& loop);
  void poll();

  const std::unique_ptr<Client> client_;
  EventLoop& loop_;
  DoorListener* listener_ = nullptr;
};

}  // namespace trireme::gateway

#include "clients/gateway/client_door.h"

#include <utility>

#include "base/log.h"

namespace trireme::gateway {

namespace {

constexpr std::chrono::milliseconds kPollInterval{50};  // attempts to connect and time-outs

}  // namespace

StatusOr<std::unique_ptr<ClientDoor>> ClientDoor::open(const std::string& endpoint,
                                                       EventLoop& loop) {
  ClientOptions options;
  options.name = "trireme-gateway";
  ASSIGN_OR_RETURN(auto client, Client::open(endpoint, options));
  return std::unique_ptr<ClientDoor>(new ClientDoor(std::move(client), loop));
}

ClientDoor::ClientDoor(std::unique_ptr<Client> client, EventLoop& loop)
    : client_(std::move(client)), loop_(loop) {}

ClientDoor::~ClientDoor() {
  if (listener_ != nullptr) loop_.unwatch(client_->descriptor());
}

void ClientDoor::start(DoorListener& listener) {
  listener_ = &listener;
  loop_.watch(client_->descriptor(), [this] { poll(); });
  loop_.every(kPollInterval, [this] {
    const auto due = client_->next_action_in();
    if (due && due->count() <= 0) poll();
  });
  poll();
}

void ClientDoor::poll() {
  auto events = client_->poll(Client::Milliseconds(0));
  if (!events.ok()) return;  // a Client that reconnects has no error
  for (ClientEvent& event : *events) listener_->on_door_event(std::move(event));
}

StatusOr<uint64_t> ClientDoor::submit(door::Submit request) {
  return client_->submit(std::move(request), CreditMode::kManual);
}

StatusOr<uint64_t> ClientDoor::resume(door::Resume request) {
  return client_->resume(std::move(request), CreditMode::kManual);
}

StatusOr<uint64_t> ClientDoor::tokenize(door::Tokenize question) {
  return client_->tokenize(std::move(question));
}

StatusOr<uint64_t> ClientDoor::detokenize(door::Detokenize question) {
  return client_->detokenize(std::move(question));
}

// A connection that cannot send is lost, and tells so by an event.
void ClientDoor::cancel(uint64_t tag) { client_->cancel(tag).IgnoreError(); }
void ClientDoor::leave(uint64_t tag) { client_->leave(tag); }
void ClientDoor::end_with_connection(uint64_t tag) { client_->end_with_connection(tag); }
void ClientDoor::grant(uint64_t tag, int64_t bytes) { client_->grant(tag, bytes).IgnoreError(); }
void ClientDoor::ask_ping() { client_->ask_ping().status().IgnoreError(); }
void ClientDoor::ask_models() { client_->ask_models().IgnoreError(); }
void ClientDoor::ask_status() { client_->ask_status().IgnoreError(); }

}  // namespace trireme::gateway

#include "worker/control/door_connection.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>
#include <zmq.hpp>

#include "base/check.h"
#include "proto/frame.h"
#include "proto/zmq_options.h"

namespace trireme {
namespace {

void set(zmq::socket_t& socket, int option, int value) {
  CHECK(zmq_setsockopt(socket.handle(), option, &value, sizeof value) == 0);
}

void set(zmq::socket_t& socket, int option, const std::string& value) {
  CHECK(zmq_setsockopt(socket.handle(), option, value.data(), value.size()) == 0);
}

// A fresh identity per connection; the first byte must not be zero.
std::string make_identity() {
  std::random_device random;
  std::string identity = "r";
  for (int i = 0; i < 15; ++i) identity.push_back(static_cast<char>(random()));
  return identity;
}

}  // namespace

struct DoorConnection::Sockets {
  zmq::context_t context{1};
  zmq::socket_t dealer;
  zmq::socket_t monitor;
  std::string endpoint;
  std::optional<WorkerKey> key;
  int64_t num_opened = 0;
  int wake_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  zmq::message_t frame;  // of receive()
  bool is_connected = false;
  bool is_lost = false;
  bool is_refused = false;

  Sockets() { CHECK(wake_fd >= 0); }
  ~Sockets() { ::close(wake_fd); }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  Status open();
  void set_options();
  void read_monitor();
};

DoorConnection::DoorConnection() : sockets_(std::make_unique<Sockets>()) {}
DoorConnection::~DoorConnection() = default;

void DoorConnection::Sockets::set_options() {
  set(dealer, ZMQ_ROUTING_ID, make_identity());
  set(dealer, ZMQ_LINGER, kZmqRankLingerMs);
  // With 1, the end of a connection discards frames that have come and were not read yet, such as
  // the fence of a drained group.
  set(dealer, ZMQ_IMMEDIATE, 0);
  set(dealer, ZMQ_SNDHWM, kZmqRankSendHighWater);
  set(dealer, ZMQ_RCVHWM, kZmqReceiveHighWater);
  set(dealer, ZMQ_CONNECT_TIMEOUT, kZmqConnectMs);
  set(dealer, ZMQ_RECONNECT_IVL, kZmqReconnectMs);
  set(dealer, ZMQ_HANDSHAKE_IVL, kZmqHandshakeMs);
  set(dealer, ZMQ_HEARTBEAT_IVL, kZmqHeartbeatMs);
  set(dealer, ZMQ_HEARTBEAT_TIMEOUT, kZmqHeartbeatTimeoutMs);
  set(dealer, ZMQ_HEARTBEAT_TTL, kZmqHeartbeatTimeoutMs);
  set(dealer, ZMQ_TCP_MAXRT, kTcpTimeoutMs);
  const int64_t max_bytes = zmq_max_message_bytes(kMaxStepFrameBytes);
  CHECK(zmq_setsockopt(dealer.handle(), ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0);
  if (endpoint.find('[') != std::string::npos) set(dealer, ZMQ_IPV6, 1);
  if (!key) return;
  set(dealer, ZMQ_CURVE_SERVERKEY, key->server_public);
  set(dealer, ZMQ_CURVE_PUBLICKEY, key->client_public);
  set(dealer, ZMQ_CURVE_SECRETKEY, key->client_secret);
}

Status DoorConnection::connect(const std::string& endpoint, const std::optional<WorkerKey>& key) {
  sockets_->endpoint = endpoint;
  sockets_->key = key;
  return sockets_->open();
}

void DoorConnection::reopen() {
  set(sockets_->dealer, ZMQ_LINGER, 0);
  sockets_->dealer.close();
  sockets_->monitor.close();
  sockets_->is_connected = sockets_->is_lost = sockets_->is_refused = false;
  CHECK(sockets_->open().ok());  // it was an endpoint before
}

Status DoorConnection::Sockets::open() {
  dealer = zmq::socket_t(context, zmq::socket_type::dealer);
  monitor = zmq::socket_t(context, zmq::socket_type::pair);
  set_options();
  const std::string events = "inproc://link-monitor-" + std::to_string(++num_opened);
  CHECK(zmq_socket_monitor(dealer.handle(),
                           events.c_str(),
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) == 0);
  set(monitor, ZMQ_LINGER, 0);
  monitor.connect(events);
  if (zmq_connect(dealer.handle(), endpoint.c_str()) == 0) return ok_status();
  return invalid(
      "TRI-GRP-015",
      "--coordinator {} is no endpoint ({}); write tcp://HOST:PORT, as the coordinator prints it",
      endpoint,
      zmq_strerror(zmq_errno()));
}

void DoorConnection::wait(bool has_frame, int timeout_ms) {
  const auto events =
      static_cast<short>(has_frame && is_connected() ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
  std::array<zmq::pollitem_t, 3> items = {{{sockets_->dealer.handle(), 0, events, 0},
                                           {sockets_->monitor.handle(), 0, ZMQ_POLLIN, 0},
                                           {nullptr, sockets_->wake_fd, ZMQ_POLLIN, 0}}};
  zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(sockets_->wake_fd, &count, sizeof count);
  sockets_->read_monitor();
}

void DoorConnection::wake() {
  const uint64_t one = 1;
  // If the counter is full, the thread is awake already.
  [[maybe_unused]] const ssize_t written = ::write(sockets_->wake_fd, &one, sizeof one);
}

int DoorConnection::wake_fd() const { return sockets_->wake_fd; }

void DoorConnection::Sockets::read_monitor() {
  zmq::message_t event;
  zmq::message_t address;
  while (monitor.recv(event, zmq::recv_flags::dontwait)) {
    (void)monitor.recv(address, zmq::recv_flags::dontwait);
    if (event.size() < sizeof(uint16_t)) continue;
    uint16_t what = 0;
    std::memcpy(&what, event.data(), sizeof what);
    if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) is_connected = true;
    if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) is_refused = true;
    if (what == ZMQ_EVENT_DISCONNECTED && is_connected) is_lost = true;
  }
}

bool DoorConnection::is_connected() const { return sockets_->is_connected; }
bool DoorConnection::is_lost() const { return sockets_->is_lost; }
bool DoorConnection::is_refused() const { return sockets_->is_refused; }

std::optional<std::string_view> DoorConnection::receive() {
  if (!sockets_->dealer.recv(sockets_->frame, zmq::recv_flags::dontwait)) return std::nullopt;
  return std::string_view(static_cast<const char*>(sockets_->frame.data()), sockets_->frame.size());
}

bool DoorConnection::send(const std::string& frame) {
  return sockets_->dealer.send(zmq::buffer(frame), zmq::send_flags::dontwait).has_value();
}

void DoorConnection::close() {
  sockets_->dealer.close();
  sockets_->monitor.close();
  sockets_->context.close();
}

}  // namespace trireme

#include "clients/cpp/client_link.h"

#include <cstring>
#include <utility>
#include <zmq.hpp>

#include "base/check.h"
#include "base/process_limits.h"
#include "base/text.h"
#include "proto/frame.h"
#include "proto/zmq_options.h"

namespace trireme {
namespace {

constexpr int64_t kFilesOfClient = 20;  // of a context with sockets, a connection and epoll
// High-water mark of a Client that reconnects. Its further frames wait in its own queue, which is
// bounded in bytes; a socket counts messages, of up to 16 MiB.
constexpr int kSendHighWaterOfLoop = 16;
constexpr int kConnectTimeoutMs = 5'000;
constexpr int kReconnectMaxMs = 2'000;

void set(zmq::socket_t& socket, int option, int value) {
  CHECK(zmq_setsockopt(socket.handle(), option, &value, sizeof value) == 0);
}

int get(zmq::socket_t& socket, int option) {
  int value = 0;
  size_t size = sizeof value;
  CHECK(zmq_getsockopt(socket.handle(), option, &value, &size) == 0);
  return value;
}

class ZmqClientLink final : public ClientTransport {
 public:
  // `monitor`: an inproc endpoint that no other socket of the context has.
  ZmqClientLink(std::shared_ptr<zmq::context_t> context,
                const std::string& monitor,
                int send_high_water)
      : context_(std::move(context)),
        dealer_(*context_, zmq::socket_type::dealer),
        monitor_(*context_, zmq::socket_type::pair) {
    set(dealer_, ZMQ_LINGER, kZmqClientLingerMs);
    set(dealer_, ZMQ_IMMEDIATE, 1);  // a send needs a connection, instead of queueing for one
    set(dealer_, ZMQ_SNDHWM, send_high_water);
    set(dealer_, ZMQ_RCVHWM, kZmqReceiveHighWater);
    set(dealer_, ZMQ_HEARTBEAT_IVL, kZmqHeartbeatMs);
    set(dealer_, ZMQ_HEARTBEAT_TIMEOUT, kZmqHeartbeatTimeoutMs);
    set(dealer_, ZMQ_TCP_MAXRT, kTcpTimeoutMs);
    set(dealer_, ZMQ_CONNECT_TIMEOUT, kConnectTimeoutMs);
    set(dealer_, ZMQ_RECONNECT_IVL, kZmqReconnectMs);
    set(dealer_, ZMQ_IPV6, 1);
    const int64_t max_bytes = zmq_max_message_bytes(kMaxToClientBytes);
    CHECK(zmq_setsockopt(dealer_.handle(), ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0);
    const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
    CHECK(zmq_socket_monitor(dealer_.handle(), monitor.c_str(), events) == 0);
    set(monitor_, ZMQ_LINGER, 0);
    monitor_.connect(monitor);
  }

  Status connect(const std::string& endpoint) {
    if (zmq_connect(dealer_.handle(), endpoint.c_str()) == 0) return ok_status();
    return invalid("TRI-NET-033", "'{}' is not an endpoint; write it as tcp://HOST:PORT", endpoint);
  }

  // Until its handshake the socket retries by itself, more and more slowly.
  void retry_slowly() { set(dealer_, ZMQ_RECONNECT_IVL_MAX, kReconnectMaxMs); }

  bool send(const std::string& frame) override {
    return zmq_send(dealer_.handle(), frame.data(), frame.size(), ZMQ_DONTWAIT) >= 0;
  }

  StatusOr<std::optional<std::string>> receive() override {
    std::optional<std::string> frame = read_frame();
    if (frame) return frame;
    read_monitor();
    // Frames received before the disconnect are returned first, also those since the last look.
    if (lost_) frame = read_frame();
    if (frame || !lost_) return frame;
    return unavailable("TRI-NET-031",
                       "the connection to the coordinator was lost; is the cluster still up?");
  }

  bool is_ready(bool to_send) override {
    const int wanted = to_send ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN;
    return lost_ || (get(dealer_, ZMQ_EVENTS) & wanted) != 0 ||
           (get(monitor_, ZMQ_EVENTS) & ZMQ_POLLIN) != 0;
  }

  std::vector<int> descriptors() const override {
    return {get(dealer_, ZMQ_FD), get(monitor_, ZMQ_FD)};
  }

 private:
  std::optional<std::string> read_frame() {
    zmq::message_t part;
    if (!dealer_.recv(part, zmq::recv_flags::dontwait)) return std::nullopt;
    std::string frame = part.to_string();
    while (part.more() && dealer_.recv(part, zmq::recv_flags::dontwait)) frame = part.to_string();
    return frame;
  }

  // The first frame of an event has its number, the second its address. A disconnect before the
  // handshake is an attempt to connect that failed. After it, the socket would connect again by
  // itself, but the coordinator has ended the streams with the connection.
  void read_monitor() {
    zmq::message_t part;
    while (monitor_.recv(part, zmq::recv_flags::dontwait)) {
      uint16_t event = 0;
      if (part.size() >= sizeof event) std::memcpy(&event, part.data(), sizeof event);
      while (part.more() && monitor_.recv(part, zmq::recv_flags::dontwait)) {
      }
      if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) connected_ = true;
      if (event == ZMQ_EVENT_DISCONNECTED && connected_) lost_ = true;
    }
  }

  const std::shared_ptr<zmq::context_t> context_;  // also of the connector's other links
  mutable zmq::socket_t dealer_;
  mutable zmq::socket_t monitor_;
  bool connected_ = false;  // the handshake was done
  bool lost_ = false;
};

class ZmqConnector final : public ClientConnector {
 public:
  explicit ZmqConnector(std::string endpoint) : endpoint_(std::move(endpoint)) {}

  // Starts the first connection, so that a malformed endpoint is found.
  Status prepare() {
    ASSIGN_OR_RETURN(first_, make_link());
    return ok_status();
  }

  StatusOr<std::unique_ptr<ClientTransport>> start() override {
    if (first_) return std::move(first_);
    return make_link();
  }

 private:
  StatusOr<std::unique_ptr<ClientTransport>> make_link() {
    const std::string monitor = format_text("inproc://monitor-{}", ++num_links_);
    auto link = std::make_unique<ZmqClientLink>(context_, monitor, kSendHighWaterOfLoop);
    link->retry_slowly();
    RETURN_IF_ERROR(link->connect(endpoint_));
    return std::unique_ptr<ClientTransport>(std::move(link));
  }

  const std::shared_ptr<zmq::context_t> context_ = std::make_shared<zmq::context_t>(1);
  const std::string endpoint_;
  int64_t num_links_ = 0;
  std::unique_ptr<ClientTransport> first_;
};

Status require_files() {
  return require_open_files(count_open_files() + kFilesOfClient, "a client");
}

}  // namespace

StatusOr<std::unique_ptr<ClientTransport>> connect_client_link(const std::string& endpoint) {
  RETURN_IF_ERROR(require_files());
  auto link = std::make_unique<ZmqClientLink>(
      std::make_shared<zmq::context_t>(1), "inproc://monitor", kZmqClientSendHighWater);
  RETURN_IF_ERROR(link->connect(endpoint));
  return std::unique_ptr<ClientTransport>(std::move(link));
}

StatusOr<std::unique_ptr<ClientConnector>> make_client_connector(const std::string& endpoint) {
  RETURN_IF_ERROR(require_files());
  auto connector = std::make_unique<ZmqConnector>(endpoint);
  RETURN_IF_ERROR(connector->prepare());
  return std::unique_ptr<ClientConnector>(std::move(connector));
}

}  // namespace trireme

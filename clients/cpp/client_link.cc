#include "clients/cpp/client_link.h"

#include <cerrno>
#include <cstring>
#include <zmq.hpp>

#include "base/check.h"
#include "base/process_limits.h"
#include "proto/frame.h"
#include "proto/zmq_options.h"

namespace trireme {
namespace {

constexpr int64_t kFilesOfClient = 16;  // of a context with two sockets and a connection
constexpr char kMonitorEndpoint[] = "inproc://monitor";

void set(zmq::socket_t& socket, int option, int value) {
  CHECK(zmq_setsockopt(socket.handle(), option, &value, sizeof value) == 0);
}

class ZmqClientLink final : public ClientTransport {
 public:
  ZmqClientLink()
      : context_(1),
        dealer_(context_, zmq::socket_type::dealer),
        monitor_(context_, zmq::socket_type::pair) {
    set(dealer_, ZMQ_LINGER, kZmqClientLingerMs);
    set(dealer_, ZMQ_IMMEDIATE, 1);
    set(dealer_, ZMQ_SNDHWM, kZmqClientSendHighWater);
    set(dealer_, ZMQ_RCVHWM, kZmqReceiveHighWater);
    set(dealer_, ZMQ_HEARTBEAT_IVL, kZmqHeartbeatMs);
    set(dealer_, ZMQ_HEARTBEAT_TIMEOUT, kZmqHeartbeatTimeoutMs);
    set(dealer_, ZMQ_TCP_MAXRT, kTcpTimeoutMs);
    set(dealer_, ZMQ_RECONNECT_IVL, kZmqReconnectMs);
    set(dealer_, ZMQ_IPV6, 1);
    const int64_t max_bytes = zmq_max_message_bytes(kMaxToClientBytes);
    CHECK(zmq_setsockopt(dealer_.handle(), ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0);
    CHECK(zmq_socket_monitor(dealer_.handle(), kMonitorEndpoint, ZMQ_EVENT_DISCONNECTED) == 0);
    set(monitor_, ZMQ_LINGER, 0);
    monitor_.connect(kMonitorEndpoint);
  }

  Status connect(const std::string& endpoint) {
    if (zmq_connect(dealer_.handle(), endpoint.c_str()) == 0) return ok_status();
    return invalid("TRI-NET-033", "'{}' is not an endpoint; write it as tcp://HOST:PORT", endpoint);
  }

  // IMMEDIATE: a send waits until the connection is established instead of queueing the frame.
  Status send(const std::string& frame, std::chrono::milliseconds timeout) override {
    set(dealer_, ZMQ_SNDTIMEO, static_cast<int>(timeout.count()));
    if (zmq_send(dealer_.handle(), frame.data(), frame.size(), 0) >= 0) return ok_status();
    return timed_out(spoken_ ? "TRI-NET-030" : "TRI-NET-032",
                     "the coordinator accepted no message for {} ms; it has ended or is overloaded",
                     timeout.count());
  }

  StatusOr<std::optional<std::string>> receive(std::chrono::milliseconds timeout) override {
    zmq::pollitem_t items[] = {{dealer_.handle(), 0, ZMQ_POLLIN, 0},
                               {monitor_.handle(), 0, ZMQ_POLLIN, 0}};
    const int ready = zmq_poll(items, 2, lost_ ? 0 : static_cast<long>(timeout.count()));
    if (items[1].revents != 0) note_loss();
    if (ready <= 0 && !lost_) return std::optional<std::string>();
    // Frames received before the disconnect are returned first.
    std::optional<std::string> frame = read_frame();
    if (frame || !lost_) return frame;
    return unavailable("TRI-NET-031",
                       "the connection to the coordinator was lost; is the cluster still up?");
  }

 private:
  std::optional<std::string> read_frame() {
    zmq::message_t part;
    if (!dealer_.recv(part, zmq::recv_flags::dontwait)) return std::nullopt;
    std::string frame = part.to_string();
    while (part.more() && dealer_.recv(part, zmq::recv_flags::dontwait)) frame = part.to_string();
    spoken_ = true;
    return frame;
  }

  // The coordinator ends a connection's streams with it, so reconnecting would be useless. Before
  // the first frame from the coordinator, ZeroMQ may still be retrying to connect.
  void note_loss() {
    zmq::message_t part;
    while (monitor_.recv(part, zmq::recv_flags::dontwait)) {
    }
    lost_ = spoken_;
  }

  zmq::context_t context_;
  zmq::socket_t dealer_;
  zmq::socket_t monitor_;
  bool spoken_ = false;  // the coordinator has answered
  bool lost_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<ClientTransport>> connect_client_link(const std::string& endpoint) {
  RETURN_IF_ERROR(require_open_files(count_open_files() + kFilesOfClient, "a client"));
  auto link = std::make_unique<ZmqClientLink>();
  RETURN_IF_ERROR(link->connect(endpoint));
  return std::unique_ptr<ClientTransport>(std::move(link));
}

}  // namespace trireme

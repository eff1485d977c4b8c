#include "coordinator/doors/zmq_doors.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <vector>
#include <zmq.hpp>

#include "base/check.h"
#include "coordinator/doors/free_ports.h"
#include "coordinator/doors/peer_table.h"
#include "coordinator/doors/worker_key_file.h"
#include "proto/frame.h"
#include "proto/zmq_options.h"

namespace trireme {
namespace {

// A draft constant, absent from zmq.h without ZMQ_BUILD_DRAFT_API, yet honoured by the library.
constexpr int kZapEnforceDomain = 93;
constexpr char kZapDomain[] = "trireme-workers";
constexpr char kZapEndpoint[] = "inproc://zeromq.zap.01";
constexpr int kFramesPerTurn = 512;
constexpr int kMaxFullTurns = 16;
constexpr int kMaxPortTries = 64;
constexpr int kSelfTestMs = 3'000;

void set(zmq::socket_t& socket, int option, int value) {
  CHECK(zmq_setsockopt(socket.handle(), option, &value, sizeof value) == 0);
}

void set(zmq::socket_t& socket, int option, const std::string& value) {
  CHECK(zmq_setsockopt(socket.handle(), option, value.data(), value.size()) == 0);
}

std::string endpoint_of(const DoorAddress& address) {
  std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  if (host.find(':') != std::string::npos && host[0] != '[') host = format_text("[{}]", host);
  return format_text(
      "tcp://{}:{}", host, address.port == 0 ? "*" : format_text("{}", address.port));
}

// Of an address that ZeroMQ gives: numbers, IPv4 within IPv6 on a door for both.
bool is_this_host(std::string_view address) {
  constexpr std::string_view kMapped = "::ffff:";
  if (address.starts_with(kMapped)) address.remove_prefix(kMapped.size());
  return is_loopback(std::string(address));
}

// One ROUTER socket and the monitor socket that reports its accepted and ended connections.
class Door final : public PeerSender {
 public:
  using OnFrame = std::function<void(PeerId, std::string_view)>;
  using OnGone = std::function<void(PeerId)>;

  Door(zmq::context_t& context, const char* name, int send_hwm, int64_t max_frame_bytes)
      : name_(name),
        router_(context, zmq::socket_type::router),
        monitor_(context, zmq::socket_type::pair) {
    set(router_, ZMQ_ROUTER_MANDATORY, 1);
    set(router_, ZMQ_LINGER, 0);
    set(router_, ZMQ_SNDHWM, send_hwm);
    set(router_, ZMQ_RCVHWM, kZmqReceiveHighWater);
    set(router_, ZMQ_BACKLOG, kZmqBacklog);
    set(router_, ZMQ_HANDSHAKE_IVL, kZmqHandshakeMs);
    set(router_, ZMQ_HEARTBEAT_IVL, kZmqHeartbeatMs);
    set(router_, ZMQ_HEARTBEAT_TIMEOUT, kZmqHeartbeatTimeoutMs);
    set(router_, ZMQ_HEARTBEAT_TTL, kZmqHeartbeatTimeoutMs);
    set(router_, ZMQ_TCP_MAXRT, kTcpTimeoutMs);
    const int64_t max_bytes = zmq_max_message_bytes(max_frame_bytes);
    CHECK(zmq_setsockopt(router_.handle(), ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0);
    const std::string endpoint = format_text("inproc://monitor-{}", name);
    const int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;
    if (zmq_socket_monitor(router_.handle(), endpoint.c_str(), events) != 0) throw zmq::error_t();
    set(monitor_, ZMQ_LINGER, 0);
    // Drained every turn; a bound here would stop the I/O thread.
    set(monitor_, ZMQ_RCVHWM, kZmqUnlimited);
    monitor_.connect(endpoint);
  }

  ~Door() override { set(router_, ZMQ_LINGER, kZmqDoorLingerMs); }

  void use_curve(const std::string& secret_key) {
    set(router_, ZMQ_CURVE_SERVER, 1);
    set(router_, ZMQ_CURVE_SECRETKEY, secret_key);
    set(router_, ZMQ_ZAP_DOMAIN, std::string(kZapDomain));
    set(router_, kZapEnforceDomain, 1);
  }

  Status bind(const DoorAddress& address) {
    if (address.host.find(':') != std::string::npos) set(router_, ZMQ_IPV6, 1);
    const std::string endpoint = endpoint_of(address);
    bool bound = false;
    for (const int port : free_port_candidates(address.port == 0 ? kMaxPortTries : 0)) {
      bound = bound || zmq_bind(router_.handle(), endpoint_of({address.host, port}).c_str()) == 0;
    }
    if (!bound && zmq_bind(router_.handle(), endpoint.c_str()) != 0) {
      const int error = zmq_errno();
      if (error == EADDRINUSE) {
        return unavailable(
            "TRI-NET-010",
            "port {} on {} ({} door) is in use; take another port, or end the program that uses it",
            address.port,
            address.host,
            name_);
      }
      return unavailable("TRI-NET-011",
                         "cannot listen on {} ({} door): {}; give an address of this machine",
                         endpoint,
                         name_,
                         zmq_strerror(error));
    }
    endpoint_ = router_.get(zmq::sockopt::last_endpoint);
    return ok_status();
  }

  SendOutcome send(PeerId peer, const std::string& frame) override {
    const PeerTable::Peer* const to = peers_.find(peer);
    if (to == nullptr) return SendOutcome::kGone;
    const int flags = ZMQ_DONTWAIT;
    const std::string& id = to->routing_id;
    if (zmq_send(router_.handle(), id.data(), id.size(), flags | ZMQ_SNDMORE) < 0) {
      return zmq_errno() == EAGAIN ? SendOutcome::kFull : SendOutcome::kGone;
    }
    if (to->delimiter) zmq_send(router_.handle(), "", 0, flags | ZMQ_SNDMORE);
    const int sent = zmq_send(router_.handle(), frame.data(), frame.size(), flags);
    return sent < 0 ? SendOutcome::kGone : SendOutcome::kSent;
  }

  std::string address_of(PeerId peer) const override {
    const PeerTable::Peer* const found = peers_.find(peer);
    return found == nullptr ? std::string() : found->address;
  }

  // The I/O thread queues the frames of a connection before it reports its end, so an end counts
  // when all queued frames have been read, or after many turns if there are always more.
  void receive(const OnFrame& on_frame, const OnGone& on_gone) {
    drain_monitor();
    bool read_all = false;
    for (int i = 0; i < kFramesPerTurn && !read_all; ++i) {
      zmq::message_t routing_id;
      read_all = !router_.recv(routing_id, zmq::recv_flags::dontwait).has_value();
      if (!read_all) receive_rest(routing_id, on_frame, on_gone);
    }
    if (!read_all && ++full_turns_ < kMaxFullTurns) return;
    full_turns_ = 0;
    std::vector<PeerId> gone;
    peers_.forget_ended(gone);
    for (const PeerId each : gone) on_gone(each);
  }

  zmq::socket_t& router() { return router_; }
  zmq::socket_t& monitor() { return monitor_; }
  const std::string& endpoint() const { return endpoint_; }

 private:
  void receive_rest(const zmq::message_t& routing_id,
                    const OnFrame& on_frame,
                    const OnGone& on_gone) {
    zmq::message_t part;
    bool more = routing_id.more();
    bool delimiter = false;
    int payloads = 0;
    zmq::message_t payload;
    for (bool first = true; more; first = false) {
      if (!router_.recv(part, zmq::recv_flags::dontwait)) return;
      more = part.more();
      if (first && more && part.size() == 0) {
        delimiter = true;
      } else if (payloads++ == 0) {
        payload.swap(part);
      }
    }
    const int fd = payloads > 0 ? zmq_msg_get(payload.handle(), ZMQ_SRCFD) : -1;
    const PeerId peer = peer_of(routing_id.to_string(), fd, payload, on_gone);
    peers_.find(peer)->delimiter = delimiter;
    // A message of several payloads is not of this protocol: handed on as an empty frame, which the
    // codec refuses.
    const std::string_view bytes(static_cast<const char*>(payload.data()), payload.size());
    on_frame(peer, payloads == 1 ? bytes : std::string_view());
  }

  PeerId peer_of(const std::string& routing_id,
                 int fd,
                 zmq::message_t& frame,
                 const OnGone& on_gone) {
    if (const PeerId known = peers_.known(routing_id, fd)) return known;
    // A new connection: the monitor has reported its beginning.
    drain_monitor();
    std::vector<PeerId> gone;
    const PeerId peer = peers_.add(routing_id, fd, gone);
    const char* const address = zmq_msg_gets(frame.handle(), "Peer-Address");
    if (address != nullptr && !is_this_host(address)) peers_.find(peer)->address = address;
    for (const PeerId each : gone) on_gone(each);
    return peer;
  }

  void drain_monitor() {
    zmq::message_t event;
    while (monitor_.recv(event, zmq::recv_flags::dontwait)) {
      uint16_t kind = 0;
      int32_t fd = 0;
      if (event.size() >= 6) {
        std::memcpy(&kind, event.data(), sizeof kind);
        std::memcpy(&fd, static_cast<const char*>(event.data()) + sizeof kind, sizeof fd);
      }
      zmq::message_t address;
      if (event.more() && !monitor_.recv(address, zmq::recv_flags::dontwait)) break;
      if (kind == ZMQ_EVENT_ACCEPTED) peers_.accepted(fd);
      if (kind == ZMQ_EVENT_DISCONNECTED) peers_.disconnected(fd);
    }
  }

  const char* const name_;
  zmq::socket_t router_;
  zmq::socket_t monitor_;
  std::string endpoint_;
  PeerTable peers_;
  int full_turns_ = 0;  // in a row, after which frames were left
};

// ZAP handler (ZeroMQ RFC 27) of the worker door: accepts the one key of this launch.
class KeyCheck {
 public:
  KeyCheck(zmq::context_t& context, std::string allowed_public_key)
      : allowed_(std::move(allowed_public_key)), socket_(context, zmq::socket_type::rep) {
    set(socket_, ZMQ_LINGER, 0);
    socket_.bind(kZapEndpoint);
  }

  void answer() {
    std::vector<std::string> request;
    zmq::message_t part;
    do {
      if (!socket_.recv(part, zmq::recv_flags::dontwait)) return;
      request.push_back(part.to_string());
    } while (part.more());
    // version, request id, domain, address, routing id, mechanism, key
    const bool allowed = request.size() == 7 && request[2] == kZapDomain && request[5] == "CURVE" &&
                         request[6].size() == allowed_.size() && equal(request[6], allowed_);
    const std::string id = request.size() > 1 ? request[1] : "";
    const std::vector<std::string> reply = {
        "1.0", id, allowed ? "200" : "400", allowed ? "OK" : "unknown key", "", ""};
    for (size_t i = 0; i < reply.size(); ++i) {
      const auto flags = i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      socket_.send(zmq::buffer(reply[i]), flags);
    }
  }

  zmq::socket_t& socket() { return socket_; }

 private:
  static bool equal(const std::string& a, const std::string& b) {  // in constant time
    unsigned difference = 0;
    for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<uint8_t>(a[i] ^ b[i]);
    return difference == 0;
  }

  const std::string allowed_;
  zmq::socket_t socket_;
};

struct KeyPair {  // raw bytes
  std::string public_key;
  std::string secret_key;
};

KeyPair make_key_pair() {
  char public_z85[41];
  char secret_z85[41];
  CHECK(zmq_curve_keypair(public_z85, secret_z85) == 0);
  KeyPair pair{std::string(32, '\0'), std::string(32, '\0')};
  zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.public_key.data()), public_z85);
  zmq_z85_decode(reinterpret_cast<uint8_t*>(pair.secret_key.data()), secret_z85);
  return pair;
}

// The key that an earlier coordinator of this launch has left, or a new one.
StatusOr<DoorKey> key_of_launch(const ZmqDoorsOptions& options) {
  if (options.keep_worker_key) {
    if (auto kept = read_key_files(options.state_dir)) return *std::move(kept);
  }
  const KeyPair server = make_key_pair();
  const KeyPair worker = make_key_pair();
  DoorKey key{{server.public_key, worker.public_key, worker.secret_key}, server.secret_key};
  RETURN_IF_ERROR(write_key_files(options.state_dir, key));
  return key;
}

// Self-test: connects with a fresh key and expects a refusal. CURVE without a working ZAP handler
// accepts every key.
Status check_unknown_key_is_refused(zmq::context_t& context,
                                    const std::string& endpoint,
                                    const std::string& server_public,
                                    KeyCheck& key_check) {
  zmq::socket_t stranger(context, zmq::socket_type::dealer);
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  const KeyPair key = make_key_pair();
  set(stranger, ZMQ_LINGER, 0);
  set(stranger, ZMQ_CURVE_SERVERKEY, server_public);
  set(stranger, ZMQ_CURVE_PUBLICKEY, key.public_key);
  set(stranger, ZMQ_CURVE_SECRETKEY, key.secret_key);
  set(monitor, ZMQ_LINGER, 0);
  CHECK(zmq_socket_monitor(stranger.handle(),
                           "inproc://monitor-stranger",
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) == 0);
  monitor.connect("inproc://monitor-stranger");
  stranger.connect(endpoint);
  for (int waited_ms = 0; waited_ms < kSelfTestMs; waited_ms += 10) {
    zmq::pollitem_t items[] = {{key_check.socket().handle(), 0, ZMQ_POLLIN, 0},
                               {monitor.handle(), 0, ZMQ_POLLIN, 0}};
    zmq::poll(items, 2, std::chrono::milliseconds(10));
    if (items[0].revents != 0) key_check.answer();
    zmq::message_t event;
    if (items[1].revents == 0 || !monitor.recv(event, zmq::recv_flags::dontwait)) continue;
    uint16_t kind = 0;
    std::memcpy(&kind, event.data(), sizeof kind);
    if (kind != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return ok_status();
    return unavailable(
        "TRI-NET-013",
        "the worker door at {} let an unknown key in; this libzmq does not enforce ZAP: use 4.3.4",
        endpoint);
  }
  return unavailable("TRI-NET-013",
                     "the worker door at {} gave no answer to an unknown key within {} ms",
                     endpoint,
                     kSelfTestMs);
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "[::1]";
}

// A context of one I/O thread. The limit of sockets must be set before the first socket.
struct BoundedContext : zmq::context_t {
  BoundedContext() : zmq::context_t(1) { set(zmq::ctxopt::max_sockets, kZmqMaxCoordinatorSockets); }
};

struct ZmqDoors::Wires {
  Wires()
      : clients(context, "client", kZmqClientDoorSendHighWater, kMaxPromptBytes),
        workers(context, "worker", kZmqWorkerDoorSendHighWater, kMaxStepFrameBytes),
        wake_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (wake_fd < 0) throw zmq::error_t();
  }
  ~Wires() { ::close(wake_fd); }

  BoundedContext context;
  std::unique_ptr<KeyCheck> key_check;
  Door clients;
  Door workers;
  int wake_fd;
  std::vector<int> watch_fds;
  std::string worker_key_file;
};

ZmqDoors::ZmqDoors(std::unique_ptr<Wires> wires) : wires_(std::move(wires)) {}
ZmqDoors::~ZmqDoors() = default;

StatusOr<std::unique_ptr<ZmqDoors>> ZmqDoors::open(const ZmqDoorsOptions& options) {
  if (!is_loopback(options.clients.host) && !options.insecure_clients) {
    return invalid("TRI-NET-012",
                   "the client door at {} would be open to the network without keys; use --host "
                   "127.0.0.1, or --insecure where the network is trusted",
                   options.clients.host);
  }
  std::unique_ptr<Wires> wires;
  try {
    wires = std::make_unique<Wires>();
  } catch (const zmq::error_t& error) {
    return unavailable("TRI-UP-044",
                       "the sockets of the coordinator cannot be made: {}; raise the limit of open "
                       "files (ulimit -n)",
                       error.what());
  }
  wires->watch_fds = options.watch_fds;
  const bool curve = options.always_curve || !is_loopback(options.workers.host);
  DoorKey key;
  if (curve) {
    ASSIGN_OR_RETURN(key, key_of_launch(options));
    wires->worker_key_file = worker_key_path(options.state_dir);
    wires->key_check = std::make_unique<KeyCheck>(wires->context, key.ranks.client_public);
    wires->workers.use_curve(key.server_secret);
  }
  RETURN_IF_ERROR(wires->clients.bind(options.clients));
  RETURN_IF_ERROR(wires->workers.bind(options.workers));
  if (curve) {
    RETURN_IF_ERROR(check_unknown_key_is_refused(
        wires->context, wires->workers.endpoint(), key.ranks.server_public, *wires->key_check));
  }
  return std::unique_ptr<ZmqDoors>(new ZmqDoors(std::move(wires)));
}

PeerSender& ZmqDoors::clients() { return wires_->clients; }
PeerSender& ZmqDoors::workers() { return wires_->workers; }
DoorEndpoints ZmqDoors::endpoints() const {
  return {wires_->clients.endpoint(), wires_->workers.endpoint(), wires_->worker_key_file};
}

void ZmqDoors::wake() {
  const uint64_t one = 1;
  // The write fails only if the counter is full, and then the loop is awake.
  [[maybe_unused]] const ssize_t written = ::write(wires_->wake_fd, &one, sizeof one);
}

void ZmqDoors::turn(int64_t timeout_us, Handler& handler) {
  Wires& wires = *wires_;
  std::vector<zmq::pollitem_t> items = {{wires.clients.router().handle(), 0, ZMQ_POLLIN, 0},
                                        {wires.clients.monitor().handle(), 0, ZMQ_POLLIN, 0},
                                        {wires.workers.router().handle(), 0, ZMQ_POLLIN, 0},
                                        {wires.workers.monitor().handle(), 0, ZMQ_POLLIN, 0},
                                        {nullptr, wires.wake_fd, ZMQ_POLLIN, 0}};
  for (const int fd : wires.watch_fds) items.push_back({nullptr, fd, ZMQ_POLLIN, 0});
  if (wires.key_check) {
    items.push_back({wires.key_check->socket().handle(), 0, ZMQ_POLLIN, 0});
  }
  const long timeout_ms = static_cast<long>((timeout_us + 999) / 1000);
  const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
  if (ready <= 0) return;
  if (wires.key_check && items.back().revents != 0) wires.key_check->answer();
  if (items[4].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wires.wake_fd, &count, sizeof count);
  }
  // Workers first: the plan that follows a result keeps the devices busy.
  if (items[2].revents != 0 || items[3].revents != 0) {
    wires.workers.receive(
        [&](PeerId peer, std::string_view frame) { handler.on_worker_frame(peer, frame); },
        [&](PeerId peer) { handler.on_worker_gone(peer); });
  }
  if (items[0].revents != 0 || items[1].revents != 0) {
    wires.clients.receive(
        [&](PeerId peer, std::string_view frame) { handler.on_client_frame(peer, frame); },
        [&](PeerId peer) { handler.on_client_gone(peer); });
  }
  for (size_t i = 0; i < wires.watch_fds.size(); ++i) {
    if (items[5 + i].revents != 0) handler.on_readable(wires.watch_fds[i]);
  }
}

}  // namespace trireme

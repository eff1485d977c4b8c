// Many HTTP streams over raw sockets and one epoll.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <queue>
#include <random>

#include "base/text.h"
#include "tests/doors/http_answer.h"
#include "tests/doors/load_figures.h"

namespace trireme {
namespace {

using Json = nlohmann::json;

constexpr int kSmallReceiveBytes =
    4'096;  // of a reader that stops: the gateway's socket fills soon

struct Connection {
  int fd = -1;
  std::string request;
  size_t sent = 0;
  size_t send_limit = std::string::npos;  // a client that leaves in its request
  HttpAnswer answer;
  TimeUs leave_us = 0;
  bool resets = false;
};

class HttpStreams {
 public:
  explicit HttpStreams(const LoadOptions& options)
      : options_(options),
        figures_(options),
        streams_(options.streams),
        connections_(options.streams),
        random_(options.seed) {}
  ~HttpStreams() {
    for (const Connection& connection : connections_) {
      if (connection.fd >= 0) ::close(connection.fd);
    }
    ::close(epoll_);
  }

  bool run();
  std::string report() const { return figures_.report(streams_, process_cpu_s()); }

 private:
  bool find_address();
  std::string request_of(int index, bool streamed) const;
  void open_due(TimeUs now_us);
  void open(size_t index);
  void plan_to_leave(size_t index, TimeUs now_us);
  void leave_due(TimeUs now_us);
  void wait();
  void on_event(size_t index, uint32_t events);
  void write(size_t index);
  void read(size_t index);
  void on_data(size_t index, const std::string& data, TimeUs now_us);
  void end(size_t index, const std::string& failure);
  int timeout_ms(TimeUs now_us) const;

  const LoadOptions& options_;
  LoadFigures figures_;
  std::vector<StreamRecord> streams_;
  std::vector<Connection> connections_;
  std::mt19937_64 random_;
  using Leaving = std::pair<TimeUs, size_t>;
  std::priority_queue<Leaving, std::vector<Leaving>, std::greater<>> leaving_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  SteadyClock clock_;
  sockaddr_in address_{};
  TimeUs begin_us_ = 0;
  size_t next_ = 0;
  size_t over_ = 0;
};

bool HttpStreams::find_address() {
  const size_t colon = options_.http.rfind(':');
  if (colon == std::string::npos) return false;
  address_.sin_family = AF_INET;
  address_.sin_port = htons(static_cast<uint16_t>(std::stoi(options_.http.substr(colon + 1))));
  return ::inet_pton(AF_INET, options_.http.substr(0, colon).c_str(), &address_.sin_addr) == 1;
}

std::string HttpStreams::request_of(int index, bool streamed) const {
  Json body = {{"model", "demo"},
               {"messages", {{{"role", "user"}, {"content", prompt_of(index)}}}},
               {"max_tokens", options_.max_tokens},
               {"stream", streamed}};
  if (streamed) body["stream_options"] = {{"include_usage", true}};
  const std::string text = body.dump();
  std::string head =
      format_text("POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\n", options_.http);
  if (!options_.key.empty()) head += format_text("Authorization: Bearer {}\r\n", options_.key);
  head += "Content-Type: application/json\r\n";
  return format_text("{}Content-Length: {}\r\n\r\n{}", head, text.size(), text);
}

// The phase: in the request, or at a time of the answer; ends by FIN or by RST.
void HttpStreams::plan_to_leave(size_t index, TimeUs now_us) {
  Connection& connection = connections_[index];
  connection.resets = random_() % 2 == 0;
  connection.leave_us =
      now_us + static_cast<TimeUs>(random_() % (1'000ull * options_.leave_within_ms));
  if (random_() % 4 == 0) connection.send_limit = random_() % connection.request.size();
  leaving_.emplace(connection.leave_us, index);
}

void HttpStreams::open(size_t index) {
  Connection& connection = connections_[index];
  StreamRecord& stream = streams_[index];
  const bool streamed = !options_.leave || random_() % 2 == 0;
  connection.request = request_of(static_cast<int>(index), streamed);
  stream.stops = static_cast<int>(index) < options_.stop;
  connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) return end(index, "socket");
  const int one = 1;
  ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (stream.stops) {
    ::setsockopt(
        connection.fd, SOL_SOCKET, SO_RCVBUF, &kSmallReceiveBytes, sizeof kSmallReceiveBytes);
  }
  stream.sent_us = clock_.now_us();
  if (options_.leave) plan_to_leave(index, stream.sent_us);
  const int connected =
      ::connect(connection.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  if (connected != 0 && errno != EINPROGRESS) return end(index, "connect");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
}

void HttpStreams::open_due(TimeUs now_us) {
  const auto due =
      static_cast<size_t>((now_us - begin_us_) * options_.connects_per_second / 1'000'000) + 1;
  for (; next_ < std::min(due, streams_.size()); ++next_) open(next_);
}

void HttpStreams::leave_due(TimeUs now_us) {
  while (!leaving_.empty() && leaving_.top().first <= now_us) {
    const size_t index = leaving_.top().second;
    leaving_.pop();
    Connection& connection = connections_[index];
    if (connection.fd < 0) continue;
    const linger at_once{1, 0};
    if (connection.resets) {
      ::setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    std::printf("left %zu %lld\n", index, static_cast<long long>(clock_.now_us()));
    end(index, connection.sent < connection.request.size() ? "left early" : "left");
  }
}

void HttpStreams::end(size_t index, const std::string& failure) {
  Connection& connection = connections_[index];
  if (connection.fd >= 0) ::close(connection.fd);
  connection.fd = -1;
  streams_[index].failure = failure;
  figures_.end(streams_[index]);
  over_ += streams_[index].stops ? 0 : 1;
}

void HttpStreams::write(size_t index) {
  Connection& connection = connections_[index];
  const size_t goal = std::min(connection.request.size(), connection.send_limit);
  while (connection.sent < goal) {
    const ssize_t count = ::send(connection.fd,
                                 connection.request.data() + connection.sent,
                                 goal - connection.sent,
                                 MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return end(index, "write");
    connection.sent += static_cast<size_t>(count);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void HttpStreams::on_data(size_t index, const std::string& data, TimeUs now_us) {
  StreamRecord& stream = streams_[index];
  if (data == "[DONE]") return;
  const Json event = Json::parse(data, nullptr, false);
  if (!event.is_object()) {
    stream.failure = "an event that is no JSON";
  } else if (event.contains("error")) {
    stream.failure = event["error"].value("message", "").substr(0, 12);
  } else {
    for (const Json& choice : event.value("choices", Json::array())) {
      const Json& delta = choice["delta"];
      if (!delta.contains("content") || !delta["content"].is_string()) continue;
      figures_.text(stream, delta["content"].get<std::string>(), now_us);
    }
    if (event.contains("usage") && event["usage"].is_object()) {
      stream.completion_tokens = event["usage"].value("completion_tokens", int64_t{-1});
    }
  }
}

void HttpStreams::read(size_t index) {
  Connection& connection = connections_[index];
  StreamRecord& stream = streams_[index];
  std::array<char, 65536> bytes;
  const ssize_t count = ::recv(connection.fd, bytes.data(), bytes.size(), 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return end(index, count == 0 ? "closed" : "reset");
  std::vector<std::string> events;
  connection.answer.add({bytes.data(), static_cast<size_t>(count)}, events);
  const TimeUs now_us = clock_.now_us();
  for (const std::string& event : events) on_data(index, event, now_us);
  if (connection.answer.is_broken()) return end(index, "broken framing");
  if (connection.answer.is_over()) {
    const int status = connection.answer.status();
    return end(index, status == 200 ? stream.failure : format_text("status {}", status));
  }
  if (stream.stops && !events.empty()) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd, nullptr);
  }
}

void HttpStreams::on_event(size_t index, uint32_t events) {
  if (connections_[index].fd < 0) return;
  if ((events & EPOLLOUT) != 0) write(index);
  if (connections_[index].fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(index);
}

int HttpStreams::timeout_ms(TimeUs now_us) const {
  if (next_ < streams_.size()) return 1;
  if (leaving_.empty()) return 100;
  return static_cast<int>(std::clamp<TimeUs>((leaving_.top().first - now_us) / 1'000, 0, 100));
}

void HttpStreams::wait() {
  std::array<epoll_event, 512> events;
  const int count = ::epoll_wait(
      epoll_, events.data(), static_cast<int>(events.size()), timeout_ms(clock_.now_us()));
  for (int i = 0; i < count; ++i) on_event(events[i].data.u64, events[i].events);
}

bool HttpStreams::run() {
  if (!find_address() || epoll_ < 0) return false;
  begin_us_ = clock_.now_us();
  const TimeUs limit_us = begin_us_ + TimeUs{1'000'000} * options_.limit_s;
  const size_t awaited = streams_.size() - static_cast<size_t>(options_.stop);
  while (over_ < awaited && clock_.now_us() < limit_us) {
    open_due(clock_.now_us());
    leave_due(clock_.now_us());
    wait();
  }
  return true;
}

}  // namespace

int run_http_streams(const LoadOptions& options) {
  HttpStreams streams(options);
  if (!streams.run()) {
    std::fprintf(stderr, "%s is no IPv4 address with a port\n", options.http.c_str());
    return 1;
  }
  std::printf("%s\n", streams.report().c_str());
  return 0;
}

}  // namespace trireme

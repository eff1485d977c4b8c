#include "clients/cli/chat/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace trireme {
namespace {

constexpr size_t kMaxLineBytes = size_t{16} << 20;  // more is no prompt for any model

}  // namespace

std::optional<std::string> LineReader::take_line() {
  const size_t end = buffer_.find('\n', searched_);
  if (end == std::string::npos) {
    searched_ = buffer_.size();
    if (!at_end_ || buffer_.empty()) return std::nullopt;
    return std::exchange(buffer_, {});
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  searched_ = 0;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

Status LineReader::read_more() {
  char bytes[1 << 16];
  const ssize_t count = ::read(input_, bytes, sizeof bytes);
  if (count > 0) {
    buffer_.append(bytes, static_cast<size_t>(count));
    if (buffer_.size() <= kMaxLineBytes || buffer_.find('\n') < kMaxLineBytes) return ok_status();
    return invalid("TRI-RUN-002", "a line of standard input is longer than 16 MiB; split it");
  }
  if (count == 0) {
    at_end_ = true;
  } else if (errno != EINTR && errno != EAGAIN) {
    return invalid("TRI-RUN-001", "cannot read standard input: {}", std::strerror(errno));
  }
  return ok_status();
}

StatusOr<std::optional<std::string>> LineReader::next(int timeout_ms) {
  if (auto line = take_line()) return line;
  if (at_end_) return std::optional<std::string>();
  pollfd items[] = {{input_, POLLIN, 0}, {signals_, POLLIN, 0}};
  if (::poll(items, 2, timeout_ms) <= 0 || items[0].revents == 0) {
    return std::optional<std::string>();
  }
  RETURN_IF_ERROR(read_more());
  return take_line();
}

}  // namespace trireme

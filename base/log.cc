#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/utf8.h"

namespace trireme {
namespace {

constexpr size_t kMaxLineBytes = 4096;  // PIPE_BUF: a write to a pipe up to this size is atomic
constexpr off_t kMaxFileBytes = off_t{16} << 20;  // prepare_log_file() renames a larger file
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// Writes each line with one write(2), and only if that cannot block.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  DescriptorSink(int fd, bool owned) : fd_(fd), owned_(owned) {}
  ~DescriptorSink() override {
    if (owned_) ::close(fd_);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    std::string line;
    if (dropped_ > 0) line = fmt::format("... {} log lines were dropped\n", dropped_);
    line.append(text.data(), text.size());
    if (line.size() > kMaxLineBytes) {
      line.resize(utf8_head(line, kMaxLineBytes - 1).size());
      line += '\n';
    }
    const bool written = can_take_line() && ::write(fd_, line.data(), line.size()) >= 0;
    dropped_ = written ? 0 : dropped_ + 1;
  }

  // POLLOUT of a pipe promises room for PIPE_BUF bytes; without a reader there is POLLERR as well.
  bool can_take_line() const {
    pollfd wait{fd_, POLLOUT, 0};
    return ::poll(&wait, 1, 0) == 1 && wait.revents == POLLOUT;
  }

  void flush_() override {}

  const int fd_;
  const bool owned_;
  int64_t dropped_ = 0;
};

StatusOr<int> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd >= 0) return fd;
  return invalid("TRI-ARGS-026",
                 "--log-file {} cannot be opened: {}; name a file in a folder that can be written",
                 path,
                 std::strerror(errno));
}

void append_value(std::string& text, std::string_view value) {
  const bool plain =
      !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos && is_utf8(value) &&
      std::ranges::all_of(value, [](unsigned char c) { return c > ' ' && c != 127; });
  if (plain) {
    text += value;
    return;
  }
  std::string quoted;
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  text += '"';
  text += escape_controls(quoted);
  text += '"';
}

}  // namespace

StatusOr<LogLevel> parse_log_level(std::string_view name) {
  for (size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == name) return static_cast<LogLevel>(i);
  }
  return invalid("TRI-ARGS-025", "--log-level {} is unknown; allowed are {}", name, join(kLevels));
}

Status prepare_log_file(const std::string& path) {
  struct stat status {};
  std::error_code error;
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size > kMaxFileBytes) {
    std::filesystem::rename(path, path + ".1", error);
  }
  ASSIGN_OR_RETURN(const int fd, open_file(path));
  ::close(fd);
  return ok_status();
}

Status start_log(const LogOptions& options) {
  int fd = STDERR_FILENO;
  if (!options.file.empty()) {
    ASSIGN_OR_RETURN(fd, open_file(options.file));
  }
  auto logger = std::make_shared<spdlog::logger>(
      options.process, std::make_shared<DescriptorSink>(fd, !options.file.empty()));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog_level(options.level));
  spdlog::set_default_logger(logger);
  return ok_status();
}

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  const auto at = spdlog_level(level);
  spdlog::logger* const logger = spdlog::default_logger_raw();
  if (logger == nullptr || logger->name().empty() || !logger->should_log(at)) return;
  logger->log(at, "{}", log_text(event, fields));
}

std::string log_text(std::string_view event, std::initializer_list<LogField> fields) {
  std::string text = "event=";
  text += event;
  for (const LogField& field : fields) {
    text += ' ';
    text += field.key();
    text += '=';
    append_value(text, field.value());
  }
  return text;
}

bool is_log_line(std::string_view line) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ ";
  if (line.size() < kShape.size()) return false;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (kShape[i] == 'd' ? !digit : line[i] != kShape[i]) return false;
  }
  return line.find(" event=") != std::string_view::npos;
}

bool LogLimit::allow(TimeUs now_us) {
  if (window_us_ < 0 || now_us - window_us_ >= 1'000'000) {
    window_us_ = now_us;
    in_window_ = 0;
  }
  if (in_window_ < per_second_) {
    ++in_window_;
    return true;
  }
  ++suppressed_;
  return false;
}

int64_t LogLimit::take_suppressed() { return std::exchange(suppressed_, 0); }

}  // namespace trireme

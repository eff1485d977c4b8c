#include "launch/gateway_process.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <utility>

#include "base/exit_status.h"
#include "base/host_info.h"
#include "base/log.h"
#include "base/text.h"
#include "launch/supervision/restart_delays.h"

namespace trireme {

namespace {

constexpr int kPortsToTry = 100;
constexpr std::string_view kListens = "http ";  // begins the line with the address
constexpr std::string_view kReady = "ready";    // requests can be answered

bool can_listen(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool free = ::bind(fd, address.ai_addr, address.ai_addrlen) == 0 ||
                    errno != EADDRINUSE;  // other errors are the gateway's to tell
  ::close(fd);
  return free;
}

}  // namespace

int first_free_port(const std::string& host, int first) {
  for (int port = first; port < first + kPortsToTry; ++port) {
    addrinfo wanted{};
    wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), format_text("{}", port).c_str(), &wanted, &found) != 0) {
      return first;
    }
    const bool free = can_listen(*found);
    ::freeaddrinfo(found);
    if (free) return port;
  }
  return first;
}

ProcessOptions gateway_command(const ClusterFlags& cluster,
                               const GatewayFlags& flags,
                               const std::string& endpoint,
                               const std::string& log_file,
                               int port) {
  ProcessOptions options;
  options.death_signal = SIGTERM;
  options.environment = {{"TRIREME_CONFIG", ""}};  // its keys are flags of the verb
  std::vector<std::string>& arguments = options.arguments;
  arguments = {program_folder() + "/trireme-gateway", "--endpoint", endpoint};
  arguments.insert(arguments.end(),
                   {"--http-host", flags.host, "--http-port", format_text("{}", port)});
  // Passed on or off: a flag overrides its variable, which the environment may hold.
  arguments.insert(arguments.end(),
                   {cluster.insecure ? "--insecure" : "--no-insecure",
                    flags.accept_any_model ? "--accept-any-model" : "--no-accept-any-model",
                    flags.strict_api ? "--strict-api" : "--no-strict-api"});
  for (const auto& [name, text] : flags.passed_on) {
    if (!text.empty()) arguments.insert(arguments.end(), {"--" + name, text});
  }
  arguments.insert(arguments.end(), {"--log-level", cluster.log.level});
  if (!log_file.empty()) arguments.insert(arguments.end(), {"--log-file", log_file});
  return options;
}

Status GatewayProcess::start(const std::string& endpoint, const std::string& log_file) {
  endpoint_ = endpoint;
  log_file_ = log_file;
  port_ = flags_.port;
  if (!flags_.port_is_given) {
    port_ = first_free_port(flags_.host, flags_.port);
    if (port_ != flags_.port) {
      listener_.note(
          format_text("port {} is taken, HTTP clients are served on port {}", flags_.port, port_));
    }
  }
  supervisor_.take_due(clock_.now_us());
  return launch();
}

Status GatewayProcess::launch() {
  last_error_.clear();
  ASSIGN_OR_RETURN(process_,
                   Process::start(gateway_command(cluster_, flags_, endpoint_, log_file_, port_)));
  return ok_status();
}

void GatewayProcess::on_line(const std::string& line) {
  if (line == kReady) was_ready_ = true;
  if (!line.starts_with(kListens)) return;
  supervisor_.on_ready(0, clock_.now_us());
  url_ = line.substr(kListens.size());
  // Port 0 chose one; the next start takes the same.
  const size_t colon = url_.rfind(':');
  if (colon != std::string::npos) {
    std::from_chars(url_.data() + colon + 1, url_.data() + url_.size(), port_);
  }
}

Status GatewayProcess::pump() {
  if (!process_.started()) {
    if (ending_ || supervisor_.take_due(clock_.now_us()).empty()) return ok_status();
    if (const Status status = launch(); !status.ok()) {
      supervisor_.on_lost(0, clock_.now_us());
      listener_.warn(message_of(status));
    }
    return ok_status();
  }
  const auto exit_status = process_.exit_status();
  std::vector<std::string> out;
  std::vector<std::string> err;
  process_.read_lines(out, err);
  for (const std::string& line : out) on_line(line);
  for (const std::string& line : err) {
    if (cluster_.verbose) listener_.note("gateway | " + line);
    if (!is_log_line(line)) last_error_ = line;
  }
  return exit_status && !ending_ ? on_end(*exit_status) : ok_status();
}

Status GatewayProcess::on_end(int exit_status) {
  process_ = Process();
  const std::string cause =
      last_error_.empty() ? format_text("exit status {}", exit_status) : last_error_;
  if (url_.empty()) {
    if (!cause.starts_with("TRI-")) {
      return unavailable("TRI-UP-021",
                         "the gateway has ended before it listened: {}; --no-http starts none",
                         cause);
    }
    return exit_status == kBadInput ? absl::InvalidArgumentError(cause)
                                    : absl::UnavailableError(cause);
  }
  const TimeUs delay_us = supervisor_.on_lost(0, clock_.now_us());
  listener_.warn(format_text(
      "the gateway has ended: {}; it starts again {}", cause, describe_delay(delay_us)));
  return ok_status();
}

// Once: a second SIGTERM would cut the running answers off.
void GatewayProcess::drain() {
  if (!std::exchange(ending_, true)) process_.signal_group(SIGTERM);
}

void GatewayProcess::end(int patience_ms) {
  drain();
  if (process_.started() && !process_.wait_exit(patience_ms)) process_.signal_group(SIGKILL);
}

}  // namespace trireme

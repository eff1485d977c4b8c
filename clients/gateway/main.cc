// trireme-gateway: HTTP in front of a coordinator's client door. Reads its configuration, listens,
// runs the loop. Exit status: 0 drained, 2 bad usage or address, 130 stopped.
#include <csignal>
#include <cstdio>

#include "base/exit_status.h"
#include "base/log.h"
#include "base/process_limits.h"
#include "base/text.h"
#include "clients/gateway/client_door.h"
#include "clients/gateway/gateway.h"
#include "clients/gateway/gateway_options.h"
#include "clients/gateway/http/http_server.h"

namespace trireme::gateway {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kLeastFiles = 64;
constexpr int64_t kManyFiles = 8192;
constexpr int kOwnFiles = 40;             // the door, the listener, the log
constexpr milliseconds kAskInterval{50};  // until the cluster is ready
constexpr int kAsksSkipped = 19;          // from then on
constexpr milliseconds kTickInterval{250};
constexpr milliseconds kLongestClose{2000};  // for last answers to reach their sockets

int fail(const Status& status) {
  log_event(LogLevel::kError, "failed", {{"cause", status}});
  std::fprintf(stderr, "%s\n", message_of(status).c_str());
  return exit_status_of(status);
}

StatusOr<GatewaySettings> settings_of(const GatewayOptions& options) {
  GatewaySettings settings;
  settings.access.is_loopback = is_loopback_host(options.host);
  settings.access.allowed_hosts = words_of(options.allowed_hosts);
  settings.access.allowed_origins = words_of(options.allowed_origins);
  if (!options.api_key_file.empty()) {
    ASSIGN_OR_RETURN(settings.keys, ApiKeys::load(options.api_key_file));
  }
  settings.strict_api = options.strict_api;
  settings.accept_any_model = options.accept_any_model;
  settings.keep_alive_us = static_cast<TimeUs>(options.keep_alive_s * 1e6);
  settings.request_timeout_ms = static_cast<int64_t>(options.request_timeout_s * 1e3);
  return settings;
}

std::string url_of(const GatewayOptions& options, int port) {
  const bool is_v6 = options.host.find(':') != std::string::npos && options.host.front() != '[';
  return format_text("{}://{}{}{}:{}",
                     options.tls.is_used() ? "https" : "http",
                     is_v6 ? "[" : "",
                     options.host,
                     is_v6 ? "]" : "",
                     port);
}

HttpServerOptions server_options(const GatewayOptions& options) {
  HttpServerOptions server;
  server.host = options.host;
  server.port = options.port;
  server.tls = options.tls;
  const int64_t files = open_file_limit() - kOwnFiles;
  if (files < server.limits.num_connections) {
    server.limits.num_connections = static_cast<int>(files);
    log_event(LogLevel::kWarning, "few_open_files", {{"connections", files}});
  }
  return server;
}

// A gateway that serves: its timers, its signals, and its end.
class Service {
 public:
  Service(const GatewayOptions& options, EventLoop& loop, Gateway& gateway, HttpServer& server)
      : options_(options), loop_(loop), gateway_(gateway), server_(server) {}

  int run() {
    loop_.on_signals({SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); });
    loop_.every(kAskInterval, [this] { ask(); });
    loop_.every(kTickInterval, [this] { tick(); });
    loop_.run();
    return exit_status_;
  }

 private:
  // The line `ready` on stdout says that requests can be answered; its reader is `trireme up`.
  void ask() {
    const bool is_ready = gateway_.is_ready();
    if (is_ready && !std::exchange(was_ready_, true)) {
      std::puts("ready");
      std::fflush(stdout);
    }
    if (is_ready && skipped_ < kAsksSkipped) {
      ++skipped_;
      return;
    }
    skipped_ = 0;
    gateway_.ask_door();
  }

  void on_signal(int signal) {
    if (signal == SIGHUP) return read_again();
    if (std::exchange(drains_, true)) return stop(kInterrupted);
    log_event(LogLevel::kInfo, "draining");
    gateway_.drain();
  }

  // A file that cannot be used leaves the keys or certificates as they are.
  void read_again() {
    Status status = server_.read_tls_again();
    if (status.ok() && !options_.api_key_file.empty()) {
      auto keys = ApiKeys::load(options_.api_key_file);
      status = keys.status();
      if (keys.ok()) gateway_.replace_keys(std::move(*keys));
    }
    if (status.ok()) {
      log_event(LogLevel::kInfo, "files_read_again");
    } else {
      log_event(LogLevel::kError, "files_not_read_again", {{"cause", status}});
    }
  }

  void tick() {
    gateway_.tick();
    if (!drains_ || !gateway_.is_drained()) return;
    server_.close();
    ticks_closed_ += 1;
    const bool waited = ticks_closed_ > kLongestClose / kTickInterval;
    if (server_.num_connections() == 0 || waited) stop(kDone);
  }

  void stop(int exit_status) {
    exit_status_ = exit_status;
    loop_.stop();
  }

  const GatewayOptions& options_;
  EventLoop& loop_;
  Gateway& gateway_;
  HttpServer& server_;
  bool drains_ = false;
  bool was_ready_ = false;
  int skipped_ = 0;  // of the asks
  int ticks_closed_ = 0;
  int exit_status_ = kDone;
};

int serve(const GatewayOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  raise_open_files(kManyFiles);
  if (const Status status = require_open_files(kLeastFiles, "the gateway"); !status.ok()) {
    return fail(status);
  }
  auto settings = settings_of(options);
  if (!settings.ok()) return fail(settings.status());
  EventLoop loop;
  SteadyClock clock;
  auto door = ClientDoor::open(options.endpoint, loop);
  if (!door.ok()) return fail(door.status());
  Gateway gateway(std::move(*settings), **door, clock);
  auto server = HttpServer::listen(server_options(options), loop, gateway, clock);
  if (!server.ok()) return fail(server.status());
  const std::string url = url_of(options, (*server)->port());
  std::printf("http %s\n", url.c_str());
  std::fflush(stdout);
  log_event(LogLevel::kInfo, "listening", {{"url", url}, {"endpoint", options.endpoint}});
  (*door)->start(gateway);
  return Service(options, loop, gateway, **server).run();
}

int run(const std::vector<std::string>& arguments) {
  GatewayOptions options;
  FlagSet flags("trireme-gateway", "HTTP (OpenAI, Anthropic) in front of a cluster");
  add_flags(flags, options);
  const auto rest = flags.parse(arguments);
  if (flags.help_wanted() || flags.help_all_wanted()) {
    std::printf("%s\n", flags.help(true).c_str());
    return kDone;
  }
  if (!rest.ok()) return fail(rest.status());
  if (!rest->empty()) {
    return fail(invalid("TRI-ARGS-010", "'{}' is no flag; see --help", rest->front()));
  }
  if (const Status status = check(options); !status.ok()) return fail(status);
  if (const Status status = start_log("gateway", options.log); !status.ok()) return fail(status);
  return serve(options);
}

}  // namespace
}  // namespace trireme::gateway

int main(int argc, char** argv) {
  return trireme::gateway::run(std::vector<std::string>(argv + 1, argv + argc));
}

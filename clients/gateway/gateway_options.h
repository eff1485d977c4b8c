// Options of trireme-gateway, from flags, environment and file (base/flags.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/flags.h"
#include "base/log_flags.h"
#include "clients/gateway/http/http_server.h"

namespace trireme::gateway {

struct GatewayOptions {
  std::string endpoint;  // of the coordinator's client door
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string api_key_file;
  TlsFiles tls;
  bool insecure = false;
  std::string allowed_origins;  // comma-separated
  std::string allowed_hosts;    // comma-separated
  bool accept_any_model = false;
  bool strict_api = false;
  double keep_alive_s = 15;
  double request_timeout_s = 0;  // 0: none
  LogFlags log;
};

void add_flags(FlagSet& flags, GatewayOptions& options);

// TRI-ARGS-010: no --endpoint, or a value out of range; TRI-HTTP-053: --tls-cert without --tls-key
// or the like; TRI-HTTP-054: off loopback without TLS and keys.
Status check(const GatewayOptions& options);

// The words of a comma-separated list, without spaces and empty words.
std::vector<std::string> words_of(const std::string& list);

}  // namespace trireme::gateway

// Flags of the HTTP gateway that `up` starts. Plain values: written by the flag parser, then read
// only. The gateway checks those that are passed on as they are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/flags.h"

namespace trireme {

struct GatewayFlags {
  bool http = true;
  std::string host = "127.0.0.1";
  int port = kDefaultPort;
  bool port_is_given = false;  // else a taken port is replaced by the next free one
  bool accept_any_model = false;
  bool strict_api = false;
  std::vector<std::pair<std::string, std::string>> passed_on;  // name and text; "": the default

  static constexpr int kDefaultPort = 8000;
};

void add_gateway_flags(FlagSet& set, GatewayFlags& flags);

// After the parse: port_is_given. TRI-UP-002: the port is out of range.
Status check_gateway_flags(const FlagSet& set, GatewayFlags& flags);

}  // namespace trireme

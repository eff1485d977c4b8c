#include "launch/command_lines/gateway_flags.h"

namespace trireme {

namespace {

constexpr struct {
  const char* name;
  const char* help;
} kPassedOn[] = {{"api-key-file", "keys of HTTP clients, a line `NAME KEY` each, mode 600"},
                 {"tls-cert", "certificate of the HTTP server with its chain, PEM"},
                 {"tls-key", "key of the certificate, PEM"},
                 {"tls-client-ca", "authorities that sign certificates of HTTP clients, PEM"},
                 {"allowed-origins", "other sites whose pages may ask, comma-separated"},
                 {"allowed-hosts", "further names of the server on loopback, comma-separated"},
                 {"keep-alive-s", "silence of a stream after which a comment is sent; 15"},
                 {"request-timeout-s", "longest time of an HTTP request; 0: none"}};

}  // namespace

void add_gateway_flags(FlagSet& set, GatewayFlags& flags) {
  const std::string group = "HTTP";
  set.add("http", &flags.http, "start a gateway for HTTP clients", group);
  set.add("http-host", &flags.host, "address of the HTTP server", group);
  set.add("http-port", &flags.port, "its port; 0: any free one", group);
  set.add("accept-any-model", &flags.accept_any_model, "answer for any model's name", group);
  set.add("strict-api", &flags.strict_api, "refuse fields of requests that are not known", group);
  flags.passed_on.clear();
  for (const auto& [name, help] : kPassedOn) flags.passed_on.emplace_back(name, "");
  for (size_t i = 0; i < flags.passed_on.size(); ++i) {
    set.add(kPassedOn[i].name, &flags.passed_on[i].second, kPassedOn[i].help, group);
  }
}

Status check_gateway_flags(const FlagSet& set, GatewayFlags& flags) {
  flags.port_is_given = set.origin("http-port") != FlagOrigin::kDefault;
  if (flags.port >= 0 && flags.port <= 65535) return ok_status();
  return invalid("TRI-UP-002", "--http-port is {}, allowed is 0 to 65535", flags.port);
}

}  // namespace trireme

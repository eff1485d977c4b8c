#include "clients/gateway/gateway_options.h"

#include "base/text.h"
#include "clients/gateway/access_rules.h"

namespace trireme::gateway {

void add_flags(FlagSet& flags, GatewayOptions& options) {
  flags.add("endpoint", &options.endpoint, "client door of the coordinator, tcp://HOST:PORT");
  flags.add("http-host", &options.host, "address to listen on");
  flags.add("http-port", &options.port, "its port; 0: any free one");
  const std::string access = "Access";
  flags.add(
      "api-key-file", &options.api_key_file, "keys, a line `NAME KEY` each, mode 600", access);
  flags.add("tls-cert", &options.tls.certificate, "certificate with its chain, PEM", access);
  flags.add("tls-key", &options.tls.key, "key of the certificate, PEM", access);
  flags.add("tls-client-ca",
            &options.tls.client_ca,
            "clients need a certificate that one of these authorities has signed, PEM",
            access);
  flags.add("insecure", &options.insecure, "listen off loopback without TLS or keys", access);
  flags.add("allowed-origins",
            &options.allowed_origins,
            "other sites whose pages may ask, comma-separated",
            access);
  flags.add("allowed-hosts",
            &options.allowed_hosts,
            "further names of this server on loopback, comma-separated",
            access);
  const std::string requests = "Requests";
  flags.add("accept-any-model", &options.accept_any_model, "answer for any model's name", requests);
  flags.add("strict-api", &options.strict_api, "refuse fields that are not known", requests);
  flags.add("keep-alive-s",
            &options.keep_alive_s,
            "silence of a stream after which a comment is sent",
            requests);
  flags.add("request-timeout-s",
            &options.request_timeout_s,
            "longest time of a request; 0: none",
            requests);
  add_log_flags(flags, options.log, "Debugging");
}

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words;
  for (std::string& word : split(list, ',')) {
    std::erase(word, ' ');
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

Status check(const GatewayOptions& options) {
  if (options.endpoint.empty()) {
    return invalid("TRI-ARGS-010",
                   "--endpoint is missing; name the client door of a coordinator, tcp://HOST:PORT");
  }
  if (options.port < 0 || options.port > 65535) {
    return invalid("TRI-ARGS-010", "--http-port is {}, allowed is 0 to 65535", options.port);
  }
  if (options.keep_alive_s < 1 || options.keep_alive_s > 3600) {
    return invalid(
        "TRI-ARGS-010", "--keep-alive-s is {:g}, allowed is 1 to 3600", options.keep_alive_s);
  }
  if (options.request_timeout_s < 0 || options.request_timeout_s > 1e6) {
    return invalid("TRI-ARGS-010",
                   "--request-timeout-s is {:g}, allowed is 0 to 1000000",
                   options.request_timeout_s);
  }
  const TlsFiles& tls = options.tls;
  if (tls.certificate.empty() != tls.key.empty()) {
    return invalid("TRI-HTTP-053", "--tls-cert and --tls-key belong together; give both");
  }
  if (!tls.client_ca.empty() && !tls.is_used()) {
    return invalid("TRI-HTTP-053", "--tls-client-ca needs --tls-cert and --tls-key");
  }
  const bool is_safe = tls.is_used() && !options.api_key_file.empty();
  if (!is_loopback_host(options.host) && !is_safe && !options.insecure) {
    return invalid("TRI-HTTP-054",
                   "--http-host is {}, which others can reach, without {}; give --tls-cert, "
                   "--tls-key and --api-key-file, or --insecure",
                   options.host,
                   tls.is_used() ? "keys" : "TLS");
  }
  return ok_status();
}

}  // namespace trireme::gateway

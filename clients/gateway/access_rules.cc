#include "clients/gateway/access_rules.h"

#include <algorithm>

#include "base/text.h"

namespace trireme::gateway {

namespace {

constexpr std::string_view kExposed =
    "x-request-id, request-id, trireme-warnings, trireme-model-version, retry-after, "
    "retry-after-ms, x-should-retry, trireme-resume";

}  // namespace

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  if (!host.starts_with("127.")) return false;
  return std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

std::string host_name(std::string_view host) {
  if (host.starts_with("[")) {
    const size_t close = host.find(']');
    return ascii_lower(host.substr(0, close == std::string_view::npos ? close : close + 1));
  }
  return ascii_lower(host.substr(0, host.find(':')));
}

bool AccessRules::allows_origin(std::string_view origin) const {
  return std::ranges::any_of(allowed_origins, [&](const std::string& allowed) {
    return allowed == "*" || ascii_lower(allowed) == ascii_lower(origin);
  });
}

Status AccessRules::check(const HttpRequest& request) const {
  const std::string_view host = request.header("host");
  if (is_loopback && !host.empty()) {
    const std::string name = host_name(host);
    const bool is_known = name == "localhost" || name == "127.0.0.1" || name == "[::1]" ||
                          std::ranges::any_of(allowed_hosts, [&](const auto& known) {
                            return ascii_lower(known) == name;
                          });
    if (!is_known) {
      return invalid("TRI-HTTP-014",
                     "Host is \"{}\", this server is localhost; add the name to --allowed-hosts",
                     name.substr(0, 200));
    }
  }
  const std::string_view origin = request.header("origin");
  if (origin.empty() || allows_origin(origin)) return ok_status();
  const std::string own = (request.is_encrypted ? "https://" : "http://") + ascii_lower(host);
  if (!host.empty() && ascii_lower(origin) == own) return ok_status();
  return invalid("TRI-HTTP-014",
                 "Origin is \"{}\", allowed is the server's own; add it to --allowed-origins",
                 origin.substr(0, 200));
}

void AccessRules::add_cors_headers(const HttpRequest& request,
                                   std::vector<HttpHeader>& headers) const {
  if (allowed_origins.empty()) return;
  headers.push_back({"Vary", "Origin"});
  const std::string_view origin = request.header("origin");
  if (origin.empty() || !allows_origin(origin)) return;
  headers.push_back({"Access-Control-Allow-Origin", std::string(origin)});
  headers.push_back({"Access-Control-Expose-Headers", std::string(kExposed)});
}

HttpResponse AccessRules::answer_options(const HttpRequest& request,
                                         const std::string& allow) const {
  HttpResponse response;
  response.status = 204;
  response.content_type = "";
  response.headers.push_back({"Allow", allow});
  add_cors_headers(request, response.headers);
  const std::string_view wanted = request.header("access-control-request-headers");
  if (!allows_origin(request.header("origin")) || request.header("origin").empty()) return response;
  response.headers.push_back({"Access-Control-Allow-Methods", allow});
  if (!wanted.empty()) {
    response.headers.push_back({"Access-Control-Allow-Headers", std::string(wanted)});
  }
  response.headers.push_back({"Access-Control-Max-Age", "600"});
  return response;
}

}  // namespace trireme::gateway

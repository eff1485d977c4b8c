// Rules about the names in a request's head: Host, against pages that rebind a name to this
// address; Origin, against pages of other sites; and the headers that let allowed pages read
// answers (CORS). Const; pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

struct AccessRules {
  bool is_loopback = true;                   // the address of the server
  std::vector<std::string> allowed_hosts;    // --allowed-hosts, without ports
  std::vector<std::string> allowed_origins;  // --allowed-origins, "*": any

  // TRI-HTTP-014: the Host or the Origin is not allowed.
  Status check(const HttpRequest& request) const;

  // Headers of every answer to an allowed page of another origin; none for others.
  void add_cors_headers(const HttpRequest& request, std::vector<HttpHeader>& headers) const;
  // The answer to OPTIONS. `allow`: the methods of the path.
  HttpResponse answer_options(const HttpRequest& request, const std::string& allow) const;

 private:
  bool allows_origin(std::string_view origin) const;
};

// 127.0.0.0/8, ::1 and localhost.
bool is_loopback_host(std::string_view host);

// The host of a Host header: without port, in lower case.
std::string host_name(std::string_view host);

}  // namespace trireme::gateway

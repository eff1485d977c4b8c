// Listens, accepts connections (plain or TLS) and runs an HttpSession on each. Single thread: that
// of the event loop. Invariant: at most limits.num_connections are open.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "clients/gateway/http/event_loop.h"
#include "clients/gateway/http/http_exchange.h"
#include "clients/gateway/http/http_limits.h"

namespace trireme::gateway {

struct TlsFiles {
  std::string certificate;  // PEM, with its chain; "": no TLS
  std::string key;
  std::string client_ca;  // "": clients need no certificate
  bool is_used() const { return !certificate.empty(); }
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
  TlsFiles tls;
  HttpLimits limits;
};

class HttpServer {
 public:
  // Everything outlives the server. TRI-HTTP-050: the address cannot be used or is taken;
  // TRI-HTTP-051: a file of TLS is not readable or does not fit.
  static StatusOr<std::unique_ptr<HttpServer>> listen(const HttpServerOptions& options,
                                                      EventLoop& loop,
                                                      HttpHandler& handler,
                                                      Clock& clock);
  ~HttpServer();

  int port() const;
  int num_connections() const;
  // For connections from here on. TRI-HTTP-051: the files that were read before go on.
  Status read_tls_again();
  // Accepts nothing more; connections end when their answers do, at once if they have none.
  void close();

 private:
  class Listener;
  explicit HttpServer(std::unique_ptr<Listener> listener);
  const std::unique_ptr<Listener> listener_;
};

}  // namespace trireme::gateway

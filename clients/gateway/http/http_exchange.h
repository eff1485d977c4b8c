// The seam between the HTTP server and the handlers of requests. All calls come from the thread of
// the event loop.
// Invariant: an exchange lives until its answer is complete (respond(), end()) or on_gone() was
// called; afterwards nobody touches it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

// Told about an exchange while its answer is made.
class HttpExchangeUser {
 public:
  virtual ~HttpExchangeUser() = default;
  // The socket took bytes of the answer.
  virtual void on_sent() = 0;
  // The client is gone: "closed" by it, "stalled" (it took nothing for too long), "flooded"
  // (it sent too much ahead) or "server_ends". The exchange ends with this call.
  virtual void on_gone(std::string_view reason) = 0;
};

// A request that was read whole, and its answer: one respond(), or begin(), send()..., end().
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual HttpRequest take_request() = 0;  // request() is empty afterwards
  virtual void set_user(HttpExchangeUser* user) = 0;

  virtual void respond(HttpResponse response) = 0;
  virtual void begin(HttpResponse head) = 0;  // its body is not used
  virtual void send(std::string_view bytes) = 0;
  virtual void end() = 0;
  virtual int64_t unsent_bytes() const = 0;  // that the socket has not taken yet
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Before the body is read; a response refuses the request and ends the connection.
  virtual std::optional<HttpResponse> on_head(const HttpRequest& request) = 0;
  virtual void on_request(HttpExchange& exchange) = 0;
  // The answer to what the server itself refuses. `request`: as far as it was read.
  virtual HttpResponse on_refusal(const HttpRequest& request, const HttpRefusal& refusal) = 0;
};

}  // namespace trireme::gateway

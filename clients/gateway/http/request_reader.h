// Reads one HTTP/1.x request from bytes as they arrive: head, then body by length or chunks. Sans
// socket and clock. One per request, used by the connection.
// Invariant: it holds at most the limits of a request, and nothing that a peer sends fails a check.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "clients/gateway/http/http_limits.h"
#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

class RequestReader {
 public:
  enum class State : uint8_t {
    kHead,      // more bytes are needed
    kHeadDone,  // request() has all but its body; read_body() goes on
    kBody,
    kDone,
    kRefused,  // refusal() says why; the connection must end
  };

  explicit RequestReader(const HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Takes the next bytes and returns how many were used; the rest comes again with the next call,
  // in front of newer bytes. Stops after the head and after the body.
  // Refusals: TRI-HTTP-001 not HTTP/1.x; TRI-HTTP-002 two lengths, or a length and chunks;
  // TRI-HTTP-003 request line too long; TRI-HTTP-004 headers too large or too many; TRI-HTTP-005
  // body too large; TRI-HTTP-006 an expectation or a transfer coding that is not known.
  size_t take(std::string_view bytes);
  void read_body();

  State state() const { return state_; }
  bool has_started() const { return !head_.empty(); }
  HttpRequest& request() { return request_; }
  const HttpRefusal& refusal() const { return refusal_; }
  int64_t body_bytes() const { return static_cast<int64_t>(request_.body.size()); }

 private:
  class Parser;  // of the HTTP library

  size_t take_head(std::string_view bytes);
  size_t take_body(std::string_view bytes);
  void finish_head();
  void refuse(HttpRefusal refusal);

  const HttpLimits limits_;
  State state_ = State::kHead;
  std::string head_;
  size_t line_end_ = 0;  // of the request line, with its line feed; 0: not seen
  HttpRequest request_;
  HttpRefusal refusal_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace trireme::gateway

// Requests and responses of HTTP/1.x as plain values. No library of sockets or HTTP behind them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::gateway {

struct HttpHeader {
  std::string name;  // of a request: in lower case
  std::string value;
  bool operator==(const HttpHeader&) const = default;
};

struct HttpRequest {
  std::string method;
  std::string target;        // as sent
  int minor_version = 1;     // of HTTP/1.x
  bool keeps_alive = true;   // the client takes another answer on this connection
  bool has_body = false;     // a length above 0, or chunked
  bool expects_100 = false;  // Expect: 100-continue
  bool is_encrypted = false;
  std::string client;  // its address; on this host with its port: one for each connection
  std::vector<HttpHeader> headers;
  std::string body;

  // The first header of that name (lower case), or "".
  std::string_view header(std::string_view name) const {
    for (const HttpHeader& header : headers) {
      if (header.name == name) return header.value;
    }
    return {};
  }
};

// Content-Length and Connection are added by the server.
struct HttpResponse {
  int status = 200;
  std::vector<HttpHeader> headers;
  std::string content_type = "application/json";  // "": none
  std::string body;
};

// A refusal of the server itself, before a handler has seen the request.
struct HttpRefusal {
  int status = 400;
  std::string error_id;
  std::string message;  // begins with the id
};

std::string_view reason_phrase(int status);

// The status line and the headers of a response, with the empty line.
struct ResponseHead {
  int status = 200;
  const std::vector<HttpHeader>& headers;
  std::string_view content_type;
  int64_t content_length = -1;  // -1: not sent
  bool is_chunked = false;
  bool keeps_alive = true;
  int minor_version = 1;  // of the request
  int64_t date_s = 0;     // of the answer, since 1970; 0: no Date
};
std::string write_head(const ResponseHead& head);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), in any locale.
std::string http_date(int64_t time_s);

// `bytes` as one chunk of a chunked body.
void append_chunk(std::string_view bytes, std::string& out);
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace trireme::gateway

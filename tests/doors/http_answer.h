// Reads one HTTP/1.1 answer as its bytes come: status, body (chunked or with a length), and the
// data of server-sent events. Pure; for the load generator, which trusts the server's framing and
// says where it is broken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

class HttpAnswer {
 public:
  // Takes bytes; the data of events that are complete are appended to `events`.
  void add(std::string_view bytes, std::vector<std::string>& events);

  int status() const { return status_; }  // 0: no status line yet
  bool is_over() const { return is_over_; }
  bool is_broken() const { return is_broken_; }
  const std::string& body() const { return body_; }  // of an answer that is no stream

 private:
  bool read_head();
  void read_chunks(std::vector<std::string>& events);
  void take(std::string_view bytes, std::vector<std::string>& events);

  std::string raw_;  // not yet understood
  std::string body_;
  std::string event_;
  int status_ = 0;
  bool has_head_ = false;
  bool is_chunked_ = false;
  bool is_stream_ = false;
  bool is_over_ = false;
  bool is_broken_ = false;
  int64_t body_left_ = -1;
};

}  // namespace trireme

#include "clients/gateway/http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "base/text.h"

namespace trireme::gateway {

namespace {

namespace http = boost::beast::http;
using Text = boost::beast::string_view;
using Error = boost::beast::error_code;

template <class... Args>
HttpRefusal refusal_of(int status,
                       const char* id,
                       FormatString<std::type_identity_t<Args>...> format,
                       const Args&... args) {
  return {status, id, std::string(id) + ": " + format_text(format, args...)};
}

// An error of a header that says where the body ends. Releases of Boost after 1.74 have one of
// their own for several lengths.
template <class Code>
bool is_of_length(const Error& error) {
  if constexpr (requires { Code::multiple_content_length; }) {
    if (error == Code::multiple_content_length) return true;
  }
  return error == Code::bad_content_length || error == Code::bad_transfer_encoding;
}

// Lengths and codings decide where the next request begins, so two that differ in meaning to two
// readers of the same bytes are refused, even where they agree in value. `error`: of the header
// after those that `request` has.
bool has_two_lengths(const HttpRequest& request, const Error& error) {
  int lengths = is_of_length<http::error>(error) ? 1 : 0;
  for (const HttpHeader& header : request.headers) {
    if (header.name != "content-length" && header.name != "transfer-encoding") continue;
    const bool is_list =
        header.name == "content-length" && header.value.find(',') != std::string::npos;
    lengths += is_list ? 2 : 1;
  }
  return lengths > 1;
}

}  // namespace

class RequestReader::Parser final : public http::basic_parser<true> {
 public:
  Parser(HttpRequest& request, const HttpLimits& limits) : request_(request) {
    header_limit(static_cast<uint32_t>(limits.request_line_bytes + limits.headers_bytes + 4));
    body_limit(static_cast<uint64_t>(limits.body_bytes));
  }

 private:
  void on_request_impl(
      http::verb /*verb*/, Text method, Text target, int version, Error&) override {
    request_.method.assign(method.data(), method.size());
    request_.target.assign(target.data(), target.size());
    request_.minor_version = version % 10;
  }
  void on_response_impl(int, Text, int, Error&) override {}
  void on_field_impl(http::field, Text name, Text value, Error&) override {
    if (in_trailer_) return;  // no trailer has a meaning here
    request_.headers.push_back(
        {ascii_lower({name.data(), name.size()}), std::string(value.data(), value.size())});
  }
  void on_header_impl(Error&) override { in_trailer_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
  std::size_t on_body_impl(Text body, Error&) override {
    request_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Error&) override {
    request_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(Error&) override {}

  HttpRequest& request_;
  bool in_trailer_ = false;
};

RequestReader::RequestReader(const HttpLimits& limits)
    : limits_(limits), parser_(std::make_unique<Parser>(request_, limits_)) {}

RequestReader::~RequestReader() = default;

void RequestReader::refuse(HttpRefusal refusal) {
  state_ = State::kRefused;
  refusal_ = std::move(refusal);
}

size_t RequestReader::take(std::string_view bytes) {
  if (state_ == State::kHead) return take_head(bytes);
  if (state_ == State::kBody) return take_body(bytes);
  return 0;
}

size_t RequestReader::take_head(std::string_view bytes) {
  size_t used = 0;
  for (; used < bytes.size() && state_ == State::kHead; ++used) {
    const char c = bytes[used];
    if (head_.empty() && (c == '\r' || c == '\n')) continue;  // left over from the last request
    head_ += c;
    const auto size = static_cast<int64_t>(head_.size());
    if (line_end_ == 0 && size > limits_.request_line_bytes) {
      refuse(refusal_of(414,
                        "TRI-HTTP-003",
                        "the request line has more than {} bytes; shorten the path",
                        limits_.request_line_bytes));
    } else if (size - static_cast<int64_t>(line_end_) > limits_.headers_bytes + 2) {
      refuse(refusal_of(431,
                        "TRI-HTTP-004",
                        "the headers have more than {} bytes; send fewer",
                        limits_.headers_bytes));
    } else if (c == '\n') {
      if (head_[head_.size() - 2] != '\r') {
        refuse(
            refusal_of(400, "TRI-HTTP-001", "a line of the head ends without a carriage return"));
      } else if (line_end_ == 0) {
        line_end_ = head_.size();
      } else if (head_.ends_with("\r\n\r\n")) {
        finish_head();
      }
    }
  }
  return used;
}

void RequestReader::finish_head() {
  Error error;
  parser_->put({head_.data(), head_.size()}, error);
  if (has_two_lengths(request_, error)) {
    return refuse(refusal_of(400,
                             "TRI-HTTP-002",
                             "the request has two lengths; send one Content-Length or one "
                             "Transfer-Encoding"));
  }
  if (error == http::error::body_limit) {
    return refuse(refusal_of(413,
                             "TRI-HTTP-005",
                             "the body has {} bytes, allowed are {}; send less",
                             request_.header("content-length"),
                             limits_.body_bytes));
  }
  if (error && error != http::error::need_more) {
    return refuse(refusal_of(400,
                             "TRI-HTTP-001",
                             "the request is not HTTP/1.1 or HTTP/1.0 ({}); check the client",
                             error.message()));
  }
  if (static_cast<int>(request_.headers.size()) > limits_.num_headers) {
    return refuse(refusal_of(431,
                             "TRI-HTTP-004",
                             "the request has {} headers, allowed are {}; send fewer",
                             request_.headers.size(),
                             limits_.num_headers));
  }
  const auto hosts = std::ranges::count(request_.headers, "host", &HttpHeader::name);
  if (hosts > 1 || (hosts == 0 && request_.minor_version > 0)) {
    return refuse(refusal_of(
        400, "TRI-HTTP-001", "the request has {} Host headers; HTTP/1.1 sends one", hosts));
  }
  const std::string coding = ascii_lower(request_.header("transfer-encoding"));
  const std::string expectation = ascii_lower(request_.header("expect"));
  if (!coding.empty() && coding != "chunked") {
    return refuse(
        refusal_of(501, "TRI-HTTP-006", "Transfer-Encoding is \"{}\", known is chunked", coding));
  }
  if (!expectation.empty() && expectation != "100-continue") {
    return refuse(
        refusal_of(417, "TRI-HTTP-006", "Expect is \"{}\", known is 100-continue", expectation));
  }
  request_.keeps_alive = parser_->keep_alive();
  request_.has_body = !parser_->is_done();
  request_.expects_100 = !expectation.empty() && request_.minor_version > 0;
  state_ = State::kHeadDone;
}

void RequestReader::read_body() { state_ = request_.has_body ? State::kBody : State::kDone; }

size_t RequestReader::take_body(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && !parser_->is_done()) {
    Error error;
    const size_t more = parser_->put({bytes.data() + used, bytes.size() - used}, error);
    used += more;
    if (error == http::error::need_more) {
      // A chunk's header and the trailers are read whole.
      const auto left = static_cast<int64_t>(bytes.size() - used);
      if (left > limits_.headers_bytes) {
        refuse(refusal_of(400,
                          "TRI-HTTP-001",
                          "a header of a chunk has more than {} bytes",
                          limits_.headers_bytes));
      }
      return used;
    }
    if (error == http::error::body_limit) {
      refuse(refusal_of(
          413, "TRI-HTTP-005", "the body has more than {} bytes; send less", limits_.body_bytes));
      return used;
    }
    if (error) {
      refuse(refusal_of(400, "TRI-HTTP-001", "the body is malformed: {}", error.message()));
      return used;
    }
    if (more == 0) return used;
  }
  if (parser_->is_done()) state_ = State::kDone;
  return used;
}

}  // namespace trireme::gateway

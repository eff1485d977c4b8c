#include "clients/gateway/replies.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace trireme::gateway {

namespace {

constexpr int64_t kLongestRetryMs = 60'000;

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

ApiError make_error(int http_status,
                    const char* id,
                    const std::string& words,
                    const std::string& code) {
  ApiError error;
  error.http_status = http_status;
  error.error_id = id;
  error.message = std::string(id) + ": " + words;
  error.code = code;
  error.retry_is_useless = http_status < 500 && http_status != 408 && http_status != 429;
  return error;
}

ApiError make_error(int http_status, const Status& status, const std::string& code) {
  return make_error(http_status, error_id(status).c_str(), message_without_id(status), code);
}

std::string new_request_id() {
  unsigned char bytes[12];
  CHECK(::getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
  std::string id = "req_";
  for (const unsigned char byte : bytes) id += format_text("{:02x}", byte);
  return id;
}

bool is_request_id(std::string_view text) {
  constexpr size_t kLongest = 128;
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  });
}

bool is_traceparent(std::string_view text) {
  return text.size() == 55 && text[2] == '-' && text[35] == '-' && text[52] == '-' &&
         is_lower_hex(text.substr(0, 2)) && is_lower_hex(text.substr(3, 32)) &&
         is_lower_hex(text.substr(36, 16)) && is_lower_hex(text.substr(53));
}

void add_request_id(std::string_view id, std::vector<HttpHeader>& headers) {
  headers.push_back({"x-request-id", std::string(id)});
  headers.push_back({"request-id", std::string(id)});
}

HttpResponse error_response(Api api, const ApiError& error, std::string_view request_id) {
  HttpResponse response;
  response.status = http_status_in(api, error);
  response.body = write_error(api, error, request_id);
  add_request_id(request_id, response.headers);
  if (error.retry_after_ms > 0) {
    const int64_t wait_ms = std::min(error.retry_after_ms, kLongestRetryMs);
    response.headers.push_back({"Retry-After", format_text("{}", (wait_ms + 999) / 1000)});
    response.headers.push_back({"retry-after-ms", format_text("{}", wait_ms)});
  }
  if (error.retry_is_useless) response.headers.push_back({"x-should-retry", "false"});
  if (!error.allow.empty()) response.headers.push_back({"Allow", error.allow});
  if (error.http_status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace trireme::gateway

#include "clients/gateway/request_headers.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.h"
#include "clients/gateway/replies.h"

namespace trireme::gateway {
namespace {

constexpr int64_t kLongestTimeoutMs = 1'000'000'000;

}  // namespace

ApiHeaders read_headers(const HttpRequest& request, const ApiKeys* keys, int64_t timeout_ms) {
  ApiHeaders headers;
  headers.idempotency_key = request.header("idempotency-key");
  if (is_traceparent(request.header("traceparent"))) {
    headers.traceparent = request.header("traceparent");
  }
  if (is_request_id(request.header("x-request-id"))) {
    headers.client_request_id = request.header("x-request-id");
  }
  if (keys != nullptr) {
    headers.principal =
        keys->name_of(key_of(request.header("authorization"), request.header("x-api-key")))
            .value_or("");
  }
  headers.client = request.client;
  if (timeout_ms > 0) headers.timeout_ms = timeout_ms;
  return headers;
}

std::optional<ApiError> read_timeout(const HttpRequest& request, ApiHeaders& headers) {
  const std::string_view text = request.header("x-request-timeout-ms");
  if (text.empty()) return std::nullopt;
  int64_t timeout_ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), timeout_ms);
  if (error != std::errc() || end != text.data() + text.size() || timeout_ms < 1 ||
      timeout_ms > kLongestTimeoutMs) {
    return make_error(400,
                      "TRI-HTTP-019",
                      format_text("X-Request-Timeout-Ms is \"{}\", allowed is 1 to {}",
                                  text.substr(0, 100),
                                  kLongestTimeoutMs));
  }
  headers.timeout_ms = std::min(headers.timeout_ms.value_or(timeout_ms), timeout_ms);
  return std::nullopt;
}

// The value is not repeated: it may be a token.
std::optional<ApiError> read_resumable(const HttpRequest& request, ApiHeaders& headers) {
  const std::string_view text = request.header("trireme-resume");
  headers.resumable = text == "1";
  if (headers.resumable || text.empty()) return std::nullopt;
  return make_error(400,
                    "TRI-HTTP-034",
                    "the header Trireme-Resume of a new request is 1 or absent; a token belongs to "
                    "GET /trireme/v1/stream");
}

}  // namespace trireme::gateway

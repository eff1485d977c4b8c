// The headers of a request beside those of HTTP itself. Pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api_keys.h"
#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

// Those that cannot be wrong. `keys`: null where none are needed; `timeout_ms`: 0: none.
ApiHeaders read_headers(const HttpRequest& request, const ApiKeys* keys, int64_t timeout_ms);

// X-Request-Timeout-Ms; TRI-HTTP-019. An absent header leaves `headers` as they are.
std::optional<ApiError> read_timeout(const HttpRequest& request, ApiHeaders& headers);
// Trireme-Resume of a request that generates; TRI-HTTP-034.
std::optional<ApiError> read_resumable(const HttpRequest& request, ApiHeaders& headers);

}  // namespace trireme::gateway

// Responses of the gateway itself: errors in the form of an API, and the headers that every answer
// has. Pure functions, but for new_request_id().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/api/api_call.h"
#include "clients/gateway/http/http_message.h"

namespace trireme::gateway {

// An error of this table's ids, without the fields that only some of them have.
ApiError make_error(int http_status,
                    const char* id,
                    const std::string& words,
                    const std::string& code = "");
// `status`: made by base/status.h; its message begins with the id.
ApiError make_error(int http_status, const Status& status, const std::string& code = "");

// 24 random hexadecimal digits after "req_", for answers without a public id.
std::string new_request_id();
// At most 128 of [A-Za-z0-9._:-].
bool is_request_id(std::string_view text);
// W3C: version, trace id, parent id, flags.
bool is_traceparent(std::string_view text);

void add_request_id(std::string_view id, std::vector<HttpHeader>& headers);

// With request ids, Retry-After, retry-after-ms, x-should-retry, Allow and WWW-Authenticate.
HttpResponse error_response(Api api, const ApiError& error, std::string_view request_id);

}  // namespace trireme::gateway

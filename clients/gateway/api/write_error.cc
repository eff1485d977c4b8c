// Bodies of errors in the OpenAI and the Anthropic form.
#include <algorithm>

#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api/json_writer.h"

namespace trireme::gateway {
namespace {

struct TypeRow {
  int http_status;
  const char* openai;
  const char* anthropic;
};

constexpr TypeRow kTypes[] = {
    {400, "invalid_request_error", "invalid_request_error"},
    {401, "authentication_error", "authentication_error"},
    {403, "permission_error", "permission_error"},
    {404, "invalid_request_error", "not_found_error"},
    {405, "invalid_request_error", "not_found_error"},
    {413, "invalid_request_error", "request_too_large"},
    {415, "invalid_request_error", "request_too_large"},
    {422, "invalid_request_error", "invalid_request_error"},
    {429, "rate_limit_error", "overloaded_error"},
    {500, "server_error", "api_error"},
    {501, "server_error", "api_error"},
    {503, "server_error", "api_error"},
    {504, "timeout_error", "timeout_error"},
};

// Other 4xx (408, 431, ...) are mistakes of the client, other 5xx ours.
const TypeRow& types_of(int http_status) {
  const auto* row = std::ranges::find(kTypes, http_status, &TypeRow::http_status);
  if (row != std::end(kTypes)) return *row;
  const int fallback = http_status >= 500 ? 500 : 400;
  return *std::ranges::find(kTypes, fallback, &TypeRow::http_status);
}

// The field as the API spells it; the door has one name for all APIs.
std::string_view param_in(Api api, std::string_view param) {
  if (param == "idempotency_key") return "Idempotency-Key";
  if (api == Api::kChatCompletions && param == "prompt") return "messages";
  if (api != Api::kResponses) return param;
  if (param == "max_tokens") return "max_output_tokens";
  return param == "prompt" || param.starts_with("messages") ? "input" : param;
}

}  // namespace

std::string write_error(Api api, const ApiError& error, std::string_view request_id) {
  const TypeRow& types = types_of(error.http_status);
  std::string out;
  JsonWriter json(out);
  json.open_object();
  if (is_anthropic(api)) {
    json.member("type", "error").key("error").open_object();
    json.member("type", types.anthropic).member("message", error.message).close_object();
    json.text_or_null("request_id", request_id);
  } else {
    json.key("error").open_object().member("message", error.message);
    json.member("type", types.openai).text_or_null("param", param_in(api, error.param));
    json.text_or_null("code", error.code).text_or_null("id", error.error_id).close_object();
  }
  json.close_object();
  return out;
}

int http_status_in(Api api, const ApiError& error) {
  return is_anthropic(api) && error.http_status == 429 ? 529 : error.http_status;
}

}  // namespace trireme::gateway

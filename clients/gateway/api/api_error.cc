#include "clients/gateway/api/api_error.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "proto/error_kind.h"

namespace trireme::gateway {
namespace {

struct KindRow {
  door::ErrorKind kind;
  int http_status;
  const char* code;
  bool retry_is_useless;
};

constexpr KindRow kKinds[] = {
    {door::ErrorKind::kInvalid, 400, "", true},
    {door::ErrorKind::kNotFound, 404, "", true},
    {door::ErrorKind::kTooLarge, 413, "", true},
    {door::ErrorKind::kOverloaded, 429, "overloaded", false},
    {door::ErrorKind::kUnavailable, 503, "loading", false},
    {door::ErrorKind::kDeadline, 504, "", false},
    {door::ErrorKind::kConflict, 422, "", true},
    {door::ErrorKind::kDenied, 403, "", true},
    {door::ErrorKind::kInternal, 500, "", false},
    {door::ErrorKind::kNone, 500, "", false},
};

// Codes by which OpenAI clients tell causes apart.
constexpr std::pair<std::string_view, const char*> kCodes[] = {
    {"TRI-REQ-035", "context_length_exceeded"},
    {"TRI-REQ-089", "context_length_exceeded"},
    {"TRI-HTTP-026", "model_not_found"},
    {"TRI-REQ-082", "model_not_found"},
    {"TRI-REQ-042", "idempotency_key_reused"},
    {"TRI-REQ-040", "no_group"},
    {"TRI-REQ-083", "draining"},
    {"TRI-NET-030", "unreachable"},
    {"TRI-NET-031", "unreachable"},
    {"TRI-NET-032", "unreachable"},
};

std::string with_id(const std::string& id, const std::string& message) {
  if (id.empty() || message.starts_with(id)) return message;
  return id + ": " + message;
}

ApiError from_kind(door::ErrorKind kind, const std::string& id, const std::string& message) {
  const auto* row = std::ranges::find(kKinds, kind, &KindRow::kind);
  ApiError error;
  error.http_status = row->http_status;
  error.error_id = id;
  error.message = with_id(id, message);
  error.code = row->code;
  error.retry_is_useless = row->retry_is_useless;
  for (const auto& [known, code] : kCodes) {
    if (id == known) error.code = code;
  }
  return error;
}

}  // namespace

ApiError from_door(const door::Error& error) {
  ApiError out = from_kind(error.kind, error.error_id, error.message);
  out.param = error.field;
  out.retry_after_ms = error.retry_after_ms;
  return out;
}

ApiError from_finished(const door::Finished& finished) {
  if (finished.reason == door::FinishReason::kCancelled) {
    return from_kind(door::ErrorKind::kInternal,
                     "TRI-HTTP-040",
                     "the request was cancelled before its answer was complete; send it again");
  }
  return from_kind(finished.error_kind, finished.error_id, finished.error_message);
}

ApiError from_status(const Status& status) {
  ApiError error = from_kind(kind_of(status), error_id(status), message_of(status));
  error.param = field_of(status);
  return error;
}

}  // namespace trireme::gateway

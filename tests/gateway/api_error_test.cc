// The error table: kinds of the door, statuses of the gateway, and the bodies of both forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace api_error_test {

using door::ErrorKind;
using testing::StartsWith;

struct Row {
  ErrorKind kind;
  const char* id;
  int status;
  const char* type;
  const char* code;  // "": null
  int anthropic_status;
  const char* anthropic_type;
};

constexpr Row kRows[] = {
    {ErrorKind::kInvalid,
     "TRI-REQ-001",
     400,
     "invalid_request_error",
     "",
     400,
     "invalid_request_error"},
    {ErrorKind::kInvalid,
     "TRI-REQ-089",
     400,
     "invalid_request_error",
     "context_length_exceeded",
     400,
     "invalid_request_error"},
    {ErrorKind::kInvalid,
     "TRI-REQ-035",
     400,
     "invalid_request_error",
     "context_length_exceeded",
     400,
     "invalid_request_error"},
    {ErrorKind::kNotFound,
     "TRI-REQ-082",
     404,
     "invalid_request_error",
     "model_not_found",
     404,
     "not_found_error"},
    {ErrorKind::kTooLarge,
     "TRI-NET-004",
     413,
     "invalid_request_error",
     "",
     413,
     "request_too_large"},
    {ErrorKind::kOverloaded,
     "TRI-REQ-030",
     429,
     "rate_limit_error",
     "overloaded",
     529,
     "overloaded_error"},
    {ErrorKind::kUnavailable, "TRI-REQ-083", 503, "server_error", "draining", 503, "api_error"},
    {ErrorKind::kUnavailable, "TRI-NET-031", 503, "server_error", "unreachable", 503, "api_error"},
    {ErrorKind::kDeadline, "TRI-REQ-038", 504, "timeout_error", "", 504, "timeout_error"},
    {ErrorKind::kConflict,
     "TRI-REQ-042",
     422,
     "invalid_request_error",
     "idempotency_key_reused",
     422,
     "invalid_request_error"},
    {ErrorKind::kDenied, "TRI-NET-042", 403, "permission_error", "", 403, "permission_error"},
    {ErrorKind::kInternal, "TRI-REQ-041", 500, "server_error", "", 500, "api_error"},
    {ErrorKind::kNone, "", 500, "server_error", "", 500, "api_error"},
};

TEST(ApiErrors, EachKindHasItsStatusTypeAndCode) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.id);
    door::Error refused;
    refused.kind = row.kind;
    refused.error_id = row.id;
    refused.message = "it failed";
    refused.field = "temperature";
    refused.retry_after_ms = 250;
    const ApiError error = from_door(refused);
    EXPECT_EQ(http_status_in(Api::kChatCompletions, error), row.status);
    EXPECT_EQ(http_status_in(Api::kMessages, error), row.anthropic_status);
    EXPECT_EQ(error.retry_after_ms, 250);
    EXPECT_EQ(error.retry_is_useless, row.status < 429);

    const Json openai = Json::parse(write_error(Api::kCompletions, error, "req"))["error"];
    EXPECT_EQ(openai["type"], row.type);
    EXPECT_EQ(openai["code"], *row.code == '\0' ? Json() : Json(row.code));
    EXPECT_EQ(openai["param"], "temperature");
    EXPECT_EQ(openai["id"], *row.id == '\0' ? Json() : Json(row.id));
    EXPECT_THAT(openai["message"].get<std::string>(), StartsWith(row.id));

    const Json anthropic = Json::parse(write_error(Api::kCountTokens, error, "req"));
    EXPECT_EQ(anthropic["type"], "error");
    EXPECT_EQ(anthropic["error"]["type"], row.anthropic_type);
    EXPECT_EQ(anthropic["request_id"], "req");
    EXPECT_THAT(anthropic["error"]["message"].get<std::string>(), StartsWith(row.id));
  }
}

TEST(ApiErrors, StatusesOfTheGatewayHaveTypesToo) {
  const std::tuple<int, const char*, const char*> kStatuses[] = {
      {401, "authentication_error", "authentication_error"},
      {405, "invalid_request_error", "not_found_error"},
      {408, "invalid_request_error", "invalid_request_error"},
      {415, "invalid_request_error", "request_too_large"},
      {431, "invalid_request_error", "invalid_request_error"},
      {501, "server_error", "api_error"},
      {502, "server_error", "api_error"},
  };
  for (const auto& [status, openai, anthropic] : kStatuses) {
    ApiError error;
    error.http_status = status;
    error.message = "m";
    EXPECT_EQ(Json::parse(write_error(Api::kResponses, error, ""))["error"]["type"], openai);
    EXPECT_EQ(Json::parse(write_error(Api::kMessages, error, ""))["error"]["type"], anthropic);
  }
}

TEST(ApiErrors, FieldsHaveTheNamesOfTheApi) {
  ApiError error;
  error.param = "max_tokens";
  EXPECT_EQ(Json::parse(write_error(Api::kResponses, error, ""))["error"]["param"],
            "max_output_tokens");
  EXPECT_EQ(Json::parse(write_error(Api::kChatCompletions, error, ""))["error"]["param"],
            "max_tokens");
  error.param = "prompt";
  EXPECT_EQ(Json::parse(write_error(Api::kChatCompletions, error, ""))["error"]["param"],
            "messages");
  EXPECT_EQ(Json::parse(write_error(Api::kResponses, error, ""))["error"]["param"], "input");
  EXPECT_EQ(Json::parse(write_error(Api::kCompletions, error, ""))["error"]["param"], "prompt");
}

TEST(ApiErrors, AFailedAnswerHasTheKindOfItsCause) {
  door::Finished failed;
  failed.reason = door::FinishReason::kFailed;
  failed.error_kind = ErrorKind::kUnavailable;
  failed.error_id = "TRI-REQ-040";
  failed.error_message = "TRI-REQ-040: no group";
  EXPECT_EQ(from_finished(failed).http_status, 503);
  EXPECT_EQ(from_finished(failed).message, "TRI-REQ-040: no group");
  failed.reason = door::FinishReason::kCancelled;
  EXPECT_EQ(from_finished(failed).error_id, "TRI-HTTP-040");
}

TEST(ApiErrors, StatusCodesBecomeHttpStatuses) {
  EXPECT_EQ(from_status(invalid("TRI-HTTP-020", "a")).http_status, 400);
  EXPECT_EQ(from_status(unavailable("TRI-HTTP-027", "a")).http_status, 503);
  EXPECT_EQ(from_status(exhausted("TRI-REQ-094", "a")).http_status, 429);
  EXPECT_EQ(from_status(timed_out("TRI-REQ-038", "a")).http_status, 504);
  EXPECT_EQ(from_status(invalid("TRI-HTTP-020", "a")).message, "TRI-HTTP-020: a");
}

}  // namespace api_error_test
}  // namespace trireme::gateway

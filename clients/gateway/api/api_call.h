// From an HTTP request to the messages of the door: the routes that generate, tokenize or count.
// Pure functions of body, headers and the models that the door announced.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "clients/gateway/api/answer_writer.h"
#include "clients/gateway/api/api_error.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

enum class Api : uint8_t {
  kChatCompletions,  // POST /v1/chat/completions
  kCompletions,      // POST /v1/completions
  kResponses,        // POST /v1/responses
  kMessages,         // POST /v1/messages
  kCountTokens,      // POST /v1/messages/count_tokens
  kTokenize,         // POST /tokenize
  kDetokenize,       // POST /detokenize
};

// Of all prompts, where the answer can be resumed: every id of an event tells of all of them.
constexpr int32_t kMaxResumableChoices = 64;

constexpr bool is_anthropic(Api api) { return api == Api::kMessages || api == Api::kCountTokens; }

// Settings and state of the gateway that decide how a request is read.
struct ApiContext {
  std::vector<door::ModelInfo> models;
  bool strict = false;            // --strict-api
  bool accept_any_model = false;  // --accept-any-model
  int64_t now_s = 0;              // for `created`
};

// The parts of an HTTP request beside its body; absent: "".
struct ApiHeaders {
  std::string idempotency_key;
  std::string traceparent;
  std::string client_request_id;  // X-Request-Id, checked
  std::string principal;          // the name of the API key
  std::string client;             // HttpRequest::client
  bool resumable = false;         // Trireme-Resume: 1
  std::optional<int64_t> timeout_ms;
};

// One question to the door and the form of its answer.
struct ApiCall {
  // Prompts to generate for, or one Tokenize or Detokenize; without tags, which Client chooses, and
  // without credit, which the gateway sets.
  std::variant<std::vector<door::Submit>, door::Tokenize, door::Detokenize> questions;
  bool streamed = false;
  std::vector<std::string> warnings;     // for `trireme-warnings`: ignored fields
  std::unique_ptr<AnswerWriter> writer;  // of Submits
  std::string saved_form;                // of an answer that can be resumed (saved_form.h); else ""
  door::ModelInfo model;                 // for which it is asked
};

// TRI-HTTP ids; TRI-REQ-095 for structured output.
std::variant<ApiCall, ApiError> read_call(Api api,
                                          std::string_view body,
                                          const ApiHeaders& headers,
                                          const ApiContext& context);

// Bodies of the answers to Tokenize (also for count_tokens) and Detokenize.
std::string write_tokenized(Api api, const door::Tokenized& answer, const ApiCall& call);
std::string write_detokenized(const door::Detokenized& answer);

// The body of an error in the form of the API, and its status, which differs in one row: an
// overload is 429 for OpenAI's clients and 529 for Anthropic's.
std::string write_error(Api api, const ApiError& error, std::string_view request_id);
int http_status_in(Api api, const ApiError& error);

}  // namespace trireme::gateway

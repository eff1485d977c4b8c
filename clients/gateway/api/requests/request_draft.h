// An HTTP request while its fields are read, and everything that its answer repeats. Plain value;
// its JSON values point into the body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json_value.h"
#include "clients/gateway/api/answers/answer_options.h"
#include "clients/gateway/api/api_call.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct RequestDraft {
  Api api = Api::kChatCompletions;
  const ApiContext* context = nullptr;
  std::string param;  // the field that is being read: an error names it
  std::vector<std::string> warnings;

  std::string model;
  door::Sampling sampling;
  std::string request_id;
  std::string cache_salt;
  std::optional<bool> add_special_tokens;

  // Of a chat.
  ChatRequest chat;
  std::vector<std::string> tool_names;
  std::optional<bool> add_generation_prompt;
  std::optional<JsonValue> template_kwargs;
  std::string reasoning_effort;
  std::optional<bool> enable_thinking;

  std::vector<Prompt> prompts;  // of /v1/completions and /tokenize
  std::vector<TokenId> tokens;  // of /detokenize
  bool has_logprobs = false;
  std::optional<int32_t> top_logprobs;
  std::optional<int32_t> best_of;
  bool wants_token_texts = false;  // /tokenize: return_token_strs

  // Of /v1/responses and /v1/messages, whose prompt has several fields.
  std::optional<JsonValue> input;
  std::optional<JsonValue> instructions;

  AnswerOptions answer;
};

}  // namespace trireme::gateway

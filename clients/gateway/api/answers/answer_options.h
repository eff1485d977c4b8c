// The parts of a request that decide the form of its answer. Plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace trireme::gateway {

struct AnswerOptions {
  std::string model;  // its name in the answer
  int64_t created_s = 0;
  bool streamed = false;
  int32_t num_prompts = 1;
  int32_t num_choices = 1;        // per prompt
  bool includes_usage = false;    // a last chunk with the usage
  bool continuous_usage = false;  // and the usage so far in every chunk
  bool returns_token_ids = false;
  bool has_logprobs = false;
  bool echoes = false;  // the answer begins with the prompt
  std::optional<int32_t> prompt_logprobs;
  bool is_prompt_only = false;  // the one token that was drawn is not shown

  // Fields that an answer of /v1/responses repeats, as JSON; "": null.
  std::string instructions_json;
  std::string tools_json;
  std::string tool_choice_json;
  std::string reasoning_effort;
  std::optional<int32_t> max_output_tokens;
  std::optional<float> temperature;
  std::optional<float> top_p;
  int32_t top_logprobs = 0;
  bool parallel_tool_calls = true;
};

}  // namespace trireme::gateway

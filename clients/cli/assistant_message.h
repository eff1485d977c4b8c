// The message of an answer to a chat, put together from its parts. Plain value.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/chat/answer/answer_part.h"

namespace trireme {

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON
};

struct AssistantMessage {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> calls;

  void add(const AnswerPart& part);
  // {"role", "content", "reasoning_content"?, "tool_calls"?}, as in the OpenAI API. The content is
  // null where there are calls instead.
  nlohmann::ordered_json json() const;
};

}  // namespace trireme

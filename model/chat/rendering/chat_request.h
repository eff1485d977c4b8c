// A chat as a client sends it: the messages and the data of the template as JSON texts, which are
// read when the chat is rendered. Plain values; the fields have the meaning of those of message
// Chat in proto/client.proto.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

enum class ToolChoice : uint8_t { kAuto, kNone, kRequired, kNamed };

struct ChatRequest {
  std::string messages_json;   // an array of objects
  std::string tools_json;      // an array of objects, or ""
  std::string documents_json;  // an array of objects, or ""
  std::string kwargs_json;     // an object of further template variables, or ""
  bool no_generation_prompt = false;
  bool continue_final_message = false;
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name;  // kNamed
  bool one_call = false;  // the answer ends after its first tool call
  bool raw = false;       // the answer stays text, uncut
  // The answer has to begin with a tool call.
  bool needs_call() const {
    return tool_choice == ToolChoice::kRequired || tool_choice == ToolChoice::kNamed;
  }
  bool operator==(const ChatRequest&) const = default;
};

}  // namespace trireme

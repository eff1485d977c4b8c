// Turns a chat, as JSON, into the variables of its template: checks its form, brings messages into
// the one form that the template takes, and marks the origin of every byte. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/chat/jinja/values/jinja_value.h"
#include "model/chat/rendering/chat_request.h"

namespace trireme {

constexpr size_t kMaxMessages = 4096;
constexpr size_t kMaxTools = 1024;

// The form of messages that a template takes; found by rendering probes.
struct MessageForm {
  bool text_content = true;        // content as text
  bool arguments_as_text = false;  // arguments of calls as JSON text
  bool developer_as_system = false;
  std::vector<std::string> parts_roles;  // content of these as a list of parts

  bool takes_parts(std::string_view role) const;
  bool operator==(const MessageForm&) const = default;
};

struct ChatVariables {
  JinjaValue values;  // a dict in the heap
  bool has_tools = false;
  bool has_calls = false;  // in messages
  std::string last_role;
  std::string last_content;  // "" where it is no text
};

// `tokens`: bos_token and its like. Errors: TRI-CHAT-003 (too many values), TRI-CHAT-004 (content
// that the template cannot take), TRI-CHAT-006 (malformed JSON, messages, tools or variables, or
// too many of them).
StatusOr<ChatVariables> make_chat_variables(
    JinjaHeap& heap,
    const ChatRequest& request,
    const MessageForm& form,
    const std::vector<std::pair<std::string, std::string>>& tokens,
    bool add_generation_prompt);

}  // namespace trireme

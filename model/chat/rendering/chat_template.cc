#include "model/chat/rendering/chat_template.h"

namespace trireme {
namespace {

Status status_of(const TemplateError& error) {
  if (error.is_limit) {
    return invalid("TRI-CHAT-003",
                   "rendering the chat reached a limit of the template: {}; send less, or use a "
                   "simpler template",
                   error.message);
  }
  if (error.type == "TemplateError") {
    return invalid("TRI-CHAT-007", "the chat template refuses the chat: {}", error.message);
  }
  return invalid("TRI-CHAT-007",
                 "the chat template fails on this chat in line {}: {}: {}; change the messages or "
                 "the template",
                 error.line,
                 error.type,
                 error.message);
}

}  // namespace

StatusOr<ChatTemplate> ChatTemplate::compile(
    const std::string& source,
    const std::string& path,
    const std::vector<std::pair<std::string, std::string>>& tokens) {
  ChatTemplate result;
  TemplateError error;
  result.program_ = JinjaTemplate::compile(source, error);
  if (!result.program_) {
    return invalid("TRI-CHAT-002",
                   "the chat template {} does not compile: line {}, column {}: {}; correct it, or "
                   "give another with --chat-template FILE",
                   path,
                   error.line,
                   error.column,
                   error.message);
  }
  result.source_ = source;
  result.tokens_ = tokens;
  return result;
}

StatusOr<RenderedChat> ChatTemplate::render(const ChatRequest& request,
                                            bool add_generation_prompt,
                                            int64_t now_s) const {
  JinjaHeap heap;
  ASSIGN_OR_RETURN(ChatVariables variables,
                   make_chat_variables(heap, request, form_, tokens_, add_generation_prompt));
  RenderedChat chat;
  chat.has_tools = variables.has_tools;
  chat.has_calls = variables.has_calls;
  chat.last_role = std::move(variables.last_role);
  chat.last_content = std::move(variables.last_content);
  TemplateError error;
  RenderOptions options;
  options.now_s = now_s;
  if (!program_->render(variables.values, options, chat.marked, error)) return status_of(error);
  return chat;
}

}  // namespace trireme

// One chat template with the tokens and the message form that it takes: a request in, its marked
// text out. Const after load, any thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/chat/jinja/jinja_template.h"
#include "model/chat/jinja/values/marked_text.h"
#include "model/chat/rendering/chat_request.h"
#include "model/chat/rendering/chat_variables.h"

namespace trireme {

struct RenderedChat {
  MarkedText marked;
  bool has_tools = false;
  bool has_calls = false;  // in messages
  std::string last_role;
  std::string last_content;
};

class ChatTemplate {
 public:
  // Error TRI-CHAT-002: `source` does not compile (line and column); `path` is for people.
  static StatusOr<ChatTemplate> compile(
      const std::string& source,
      const std::string& path,
      const std::vector<std::pair<std::string, std::string>>& tokens);

  // Errors: TRI-CHAT-003, -004, -006, -007.
  StatusOr<RenderedChat> render(const ChatRequest& request,
                                bool add_generation_prompt,
                                int64_t now_s) const;

  const MessageForm& form() const { return form_; }
  void set_form(const MessageForm& form) { form_ = form; }
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::unique_ptr<const JinjaTemplate> program_;
  std::vector<std::pair<std::string, std::string>> tokens_;
  MessageForm form_;
};

}  // namespace trireme

// Finds the texts of a model's chat templates and the named tokens that they print. Plain values;
// used by one thread, while loading.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace trireme {

struct TemplateSources {
  std::string path;                                         // where the default was found
  std::string text;                                         // the default template
  std::optional<std::string> tool_use;                      // for chats with tools
  std::vector<std::pair<std::string, std::string>> tokens;  // bos_token and its like
};

// First found: `template_file` if it is not "", chat_template.jinja, additional_chat_templates/,
// chat_template of tokenizer_config.json. Error TRI-CHAT-001: there is none, or a file that cannot
// be read.
StatusOr<TemplateSources> find_template(const std::string& folder,
                                        const std::string& template_file);

}  // namespace trireme

#include "clients/cli/chat/conversation.h"

#include <nlohmann/json.hpp>

#include "clients/cli/json_text.h"

namespace trireme {

using Json = nlohmann::ordered_json;

void Conversation::add_user(const std::string& text) {
  turns_.push_back({true, json_text({{"role", "user"}, {"content", text}})});
}

void Conversation::add_assistant(const Json& message) {
  turns_.push_back({false, json_text(message)});
}

bool Conversation::undo() {
  for (size_t index = turns_.size(); index-- > 0;) {
    if (!turns_[index].is_user) continue;
    turns_.resize(index);
    return true;
  }
  return false;
}

Json Conversation::json() const {
  Json messages = Json::array();
  if (!system_.empty()) messages.push_back({{"role", "system"}, {"content", system_}});
  for (const Message& message : turns_) messages.push_back(Json::parse(message.json));
  return messages;
}

}  // namespace trireme

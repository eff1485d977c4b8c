// The messages of a chat in the terminal. Plain value.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace trireme {

class Conversation {
 public:
  // In place of an earlier one; "" removes it.
  void set_system(const std::string& text) { system_ = text; }

  void add_user(const std::string& text);
  // An answer's message (assistant_message.h).
  void add_assistant(const nlohmann::ordered_json& message);
  // Removes the last message of the user and all after it. False: there is none.
  bool undo();
  // Removes all messages but the system message.
  void clear() { turns_.clear(); }

  size_t num_messages() const { return turns_.size() + (system_.empty() ? 0 : 1); }
  // All messages as a JSON array.
  nlohmann::ordered_json json() const;

 private:
  struct Message {
    bool is_user = false;
    std::string json;
  };

  std::string system_;
  std::vector<Message> turns_;
};

}  // namespace trireme

// Builds the messages of a chat in the OpenAI form from the items of other forms. Texts are copied
// as the JSON that they are. Pure: no state beyond the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/gateway/api/json_writer.h"

namespace trireme::gateway {

// The text parts of a message: none is "", one is a string, several are a list of parts.
class TextParts {
 public:
  TextParts() = default;
  // `text_json`: a JSON string.
  explicit TextParts(std::string_view text_json) { add(text_json); }
  void add(std::string_view text_json) { texts_.emplace_back(text_json); }
  bool empty() const { return texts_.empty(); }
  size_t size() const { return texts_.size(); }
  std::string json() const;

 private:
  std::vector<std::string> texts_;
};

class ChatBuilder {
 public:
  ChatBuilder() : json_(text_) { json_.open_array(); }

  void add_message(std::string_view role, const TextParts& content);
  // `call_id_json`: a JSON string.
  void add_tool_result(std::string_view call_id_json, const TextParts& content);

  // The turn of the assistant, gathered until another message or end_turn() comes.
  void add_content(std::string_view text_json);
  void add_reasoning(std::string_view text);
  // `arguments`: the JSON text of the arguments.
  void add_call(std::string_view id_json, std::string_view name_json, std::string_view arguments);
  bool has_answer() const { return !content_.empty() || !calls_.empty(); }
  void end_turn();

  size_t size() const { return size_; }
  // Ends the turn and gives the array of messages. After it only size() may be called.
  std::string finish();

 private:
  std::string text_;
  JsonWriter json_;
  size_t size_ = 0;
  TextParts content_;
  std::string reasoning_;
  std::string calls_;  // the elements of tool_calls
};

}  // namespace trireme::gateway

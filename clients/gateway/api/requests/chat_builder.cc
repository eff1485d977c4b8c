#include "clients/gateway/api/requests/chat_builder.h"

#include <utility>

namespace trireme::gateway {

std::string TextParts::json() const {
  if (texts_.empty()) return "\"\"";
  if (texts_.size() == 1) return texts_.front();
  std::string out;
  JsonWriter json(out);
  json.open_array();
  for (const std::string& text : texts_) {
    json.open_object().member("type", "text").key("text").raw(text).close_object();
  }
  json.close_array();
  return out;
}

void ChatBuilder::add_message(std::string_view role, const TextParts& content) {
  end_turn();
  json_.open_object().member("role", role).key("content").raw(content.json()).close_object();
  ++size_;
}

void ChatBuilder::add_tool_result(std::string_view call_id_json, const TextParts& content) {
  end_turn();
  json_.open_object().member("role", "tool").key("tool_call_id").raw(call_id_json);
  json_.key("content").raw(content.json()).close_object();
  ++size_;
}

void ChatBuilder::add_content(std::string_view text_json) { content_.add(text_json); }

void ChatBuilder::add_reasoning(std::string_view text) {
  if (!reasoning_.empty()) reasoning_ += "\n";
  reasoning_ += text;
}

void ChatBuilder::add_call(std::string_view id_json,
                           std::string_view name_json,
                           std::string_view arguments) {
  if (!calls_.empty()) calls_ += ',';
  JsonWriter json(calls_);
  json.open_object().key("id").raw(id_json).member("type", "function");
  json.key("function").open_object().key("name").raw(name_json);
  json.member("arguments", arguments).close_object().close_object();
}

void ChatBuilder::end_turn() {
  if (!has_answer() && reasoning_.empty()) return;
  json_.open_object().member("role", "assistant").key("content").raw(content_.json());
  if (!reasoning_.empty()) json_.member("reasoning_content", reasoning_);
  if (!calls_.empty()) json_.key("tool_calls").raw("[" + calls_ + "]");
  json_.close_object();
  ++size_;
  content_ = {};
  reasoning_.clear();
  calls_.clear();
}

std::string ChatBuilder::finish() {
  end_turn();
  json_.close_array();
  return std::move(text_);
}

}  // namespace trireme::gateway

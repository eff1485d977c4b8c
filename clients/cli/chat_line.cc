#include "clients/cli/chat_line.h"

#include <optional>

#include "base/utf8.h"

namespace trireme {
namespace {

using Kind = JsonValue::Kind;

Status wrong(const char* id, const char* field, JsonValue value, const char* wanted) {
  return invalid(id, "\"{}\" is {}, it has to be {}", field, utf8_head(value.text(), 60), wanted);
}

class ChatReader {
 public:
  ChatReader(JsonValue line, const char* id) : line_(line), id_(id) {}

  // Null counts as absent.
  std::optional<JsonValue> find(const char* field) const {
    const auto value = line_.find(field);
    return value && !value->is(Kind::kNull) ? value : std::nullopt;
  }
  Status text(const char* field, Kind kind, const char* wanted, std::string& target) const {
    const auto value = find(field);
    if (!value) return ok_status();
    if (!value->is(kind)) return wrong(id_, field, *value, wanted);
    target = value->text();
    return ok_status();
  }
  Status boolean(const char* field, bool& target) const {
    const auto value = find(field);
    if (!value) return ok_status();
    if (!value->is(Kind::kBoolean)) return wrong(id_, field, *value, "true or false");
    target = value->boolean();
    return ok_status();
  }
  Status tool_choice(ChatRequest& chat) const;

 private:
  JsonValue line_;
  const char* id_;
};

Status ChatReader::tool_choice(ChatRequest& chat) const {
  const auto value = find("tool_choice");
  if (!value) return ok_status();
  if (value->is(Kind::kString)) {
    const std::string word = value->string();
    if (word == "auto") return ok_status();
    chat.tool_choice = word == "none" ? ToolChoice::kNone : ToolChoice::kRequired;
    if (word == "none" || word == "required") return ok_status();
  }
  if (value->is(Kind::kObject)) {
    const auto function = value->find("function");
    std::optional<JsonValue> name;
    if (function && function->is(Kind::kObject)) name = function->find("name");
    if (name && name->is(Kind::kString)) {
      chat.tool_choice = ToolChoice::kNamed;
      chat.tool_name = name->string();
      return ok_status();
    }
  }
  return wrong(id_,
               "tool_choice",
               *value,
               "none, auto, required or {\"type\": \"function\", \"function\": {\"name\": ...}}");
}

}  // namespace

const std::vector<std::string>& chat_fields() {
  static const std::vector<std::string> kFields = {"messages",
                                                   "tools",
                                                   "tool_choice",
                                                   "parallel_tool_calls",
                                                   "documents",
                                                   "chat_template_kwargs",
                                                   "add_generation_prompt",
                                                   "continue_final_message"};
  return kFields;
}

StatusOr<ChatRequest> read_chat(JsonValue line, const char* id) {
  const ChatReader reader(line, id);
  ChatRequest chat;
  const char* list = "a list of objects";
  RETURN_IF_ERROR(reader.text("messages", Kind::kArray, list, chat.messages_json));
  RETURN_IF_ERROR(reader.text("tools", Kind::kArray, list, chat.tools_json));
  RETURN_IF_ERROR(reader.text("documents", Kind::kArray, list, chat.documents_json));
  RETURN_IF_ERROR(
      reader.text("chat_template_kwargs", Kind::kObject, "an object", chat.kwargs_json));
  RETURN_IF_ERROR(reader.tool_choice(chat));
  bool parallel = true;
  bool generation = true;
  RETURN_IF_ERROR(reader.boolean("parallel_tool_calls", parallel));
  RETURN_IF_ERROR(reader.boolean("continue_final_message", chat.continue_final_message));
  generation = !chat.continue_final_message;
  RETURN_IF_ERROR(reader.boolean("add_generation_prompt", generation));
  chat.one_call = !parallel;
  chat.no_generation_prompt = !generation;
  return chat;
}

}  // namespace trireme

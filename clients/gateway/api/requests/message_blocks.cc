#include "clients/gateway/api/requests/message_blocks.h"

#include "base/text.h"
#include "clients/gateway/api/json_writer.h"
#include "clients/gateway/api/requests/chat_builder.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

// A line that an agent puts before its system text. It changes with each request and would keep
// prompts from sharing their beginning in the prefix cache.
constexpr std::string_view kBillingLine = "x-anthropic-billing-header:";

// The JSON string without its billing lines; nullopt: nothing is left.
std::optional<std::string> without_billing(JsonValue text) {
  if (text.text().find(kBillingLine) == std::string_view::npos) return std::string(text.text());
  std::string kept;
  for (const std::string& line : split(text.string(), '\n')) {
    if (line.starts_with(kBillingLine)) continue;
    if (!kept.empty()) kept += '\n';
    kept += line;
  }
  if (kept.find_first_not_of(" \t\r\n") == std::string::npos) return std::nullopt;
  std::string out;
  append_json_string(kept, out);
  return out;
}

class BlockReader {
 public:
  explicit BlockReader(RequestDraft& draft) : draft_(draft) {}

  // A string, or blocks of text.
  Status add_system(JsonValue system) {
    TextParts parts;
    const auto add = [&](JsonValue text) {
      if (const auto kept = without_billing(text)) parts.add(*kept);
    };
    if (system.is(Kind::kString)) {
      add(system);
    } else {
      if (!system.is(Kind::kArray)) return wrong_item(draft_, system, "a string or text blocks");
      RETURN_IF_ERROR(system.each([&](JsonValue block) -> Status {
        ASSIGN_OR_RETURN(const JsonValue text, read_text_block(block));
        add(text);
        return ok_status();
      }));
    }
    if (!parts.empty()) chat_.add_message("system", parts);
    return ok_status();
  }

  Status add_message(JsonValue message) {
    draft_.param = format_text("messages[{}]", index_++);
    if (!message.is(Kind::kObject)) return wrong_item(draft_, message, "an object");
    const auto [role_value, content] = pick(message, {"role", "content"});
    const std::string role = text_of(role_value);
    if (!content) return wrong_item(draft_, message, "a message with content");
    is_last_assistant_ = role == "assistant";
    if (role == "user") return add_user(*content);
    if (role == "assistant") return add_assistant(*content);
    if (role == "system") return add_system(*content);
    return wrong_item(draft_, message, "of the role user or assistant");
  }

  bool is_last_assistant() const { return is_last_assistant_; }
  ChatBuilder& chat() { return chat_; }

 private:
  Status unsupported(std::string_view type) const {
    return invalid("TRI-HTTP-030",
                   "{} has a block of type \"{}\", which is not supported; leave it out",
                   draft_.param,
                   type.substr(0, 64));
  }

  // The string of a block that is a text.
  StatusOr<JsonValue> read_text_block(JsonValue block) const {
    if (!block.is(Kind::kObject)) return wrong_item(draft_, block, "a block with a type");
    const auto [type, text] = pick(block, {"type", "text"});
    const std::string kind = text_of(type);
    if (kind.empty()) return wrong_item(draft_, block, "a block with a type");
    if (kind != "text") return unsupported(kind);
    if (!text || !text->is(Kind::kString)) return wrong_item(draft_, block, "a block with a text");
    return *text;
  }

  Status add_text_block(JsonValue block, TextParts& parts) const {
    ASSIGN_OR_RETURN(const JsonValue text, read_text_block(block));
    parts.add(text.text());
    return ok_status();
  }

  // Results of tools become messages of their own, in the order of the blocks.
  Status add_user(JsonValue content) {
    if (content.is(Kind::kString)) {
      chat_.add_message("user", TextParts(content.text()));
      return ok_status();
    }
    if (!content.is(Kind::kArray)) return wrong_item(draft_, content, "a string or blocks");
    TextParts parts;
    RETURN_IF_ERROR(content.each([&](JsonValue block) -> Status {
      if (type_of(block) != "tool_result") return add_text_block(block, parts);
      if (!parts.empty()) chat_.add_message("user", parts);
      parts = {};
      return add_result(block);
    }));
    if (!parts.empty() || content.count() == 0) chat_.add_message("user", parts);
    return ok_status();
  }

  Status add_result(JsonValue block) {
    const auto [id, is_error, content] = pick(block, {"tool_use_id", "is_error", "content"});
    if (!id || !id->is(Kind::kString)) {
      return wrong_item(draft_, block, "a tool_result with a tool_use_id");
    }
    if (is_error && !is_off(*is_error)) add_warning("tool_result.is_error", draft_);
    TextParts parts;
    if (content && content->is(Kind::kString)) {
      parts.add(content->text());
    } else if (content && content->is(Kind::kArray)) {
      RETURN_IF_ERROR(content->each([&](JsonValue part) { return add_text_block(part, parts); }));
    } else if (content) {
      return wrong_item(draft_, *content, "a string or text blocks");
    }
    chat_.add_tool_result(id->text(), parts);
    return ok_status();
  }

  Status add_assistant(JsonValue content) {
    chat_.end_turn();
    if (content.is(Kind::kString)) {
      chat_.add_content(content.text());
      return ok_status();
    }
    if (!content.is(Kind::kArray)) return wrong_item(draft_, content, "a string or blocks");
    if (content.count() == 0) chat_.add_content("\"\"");
    return content.each([&](JsonValue block) -> Status {
      const std::string type = type_of(block);
      if (type == "tool_use") return add_call(block);
      if (type == "thinking") {
        chat_.add_reasoning(text_of(block.find("thinking")));
        return ok_status();
      }
      ASSIGN_OR_RETURN(const JsonValue text, read_text_block(block));
      chat_.add_content(text.text());
      return ok_status();
    });
  }

  Status add_call(JsonValue block) {
    const auto [id, name, input] = pick(block, {"id", "name", "input"});
    const bool is_whole = id && id->is(Kind::kString) && name && name->is(Kind::kString) && input &&
                          input->is(Kind::kObject);
    if (!is_whole) return wrong_item(draft_, block, "a tool_use with id, name and input");
    chat_.add_call(id->text(), name->text(), input->text());
    return ok_status();
  }

  RequestDraft& draft_;
  ChatBuilder chat_;
  size_t index_ = 0;
  bool is_last_assistant_ = false;
};

void write_tool(JsonValue tool, JsonWriter& json) {
  json.open_object().member("type", "function").key("function").open_object();
  json.key("name").raw(tool.find("name")->text());
  if (const auto description = tool.find("description")) {
    json.key("description").raw(description->text());
  }
  if (const auto parameters = tool.find("input_schema")) {
    json.key("parameters").raw(parameters->text());
  }
  json.close_object().close_object();
}

}  // namespace

Status read_message_blocks(RequestDraft& draft) {
  BlockReader reader(draft);
  draft.param = "system";
  if (draft.instructions) RETURN_IF_ERROR(reader.add_system(*draft.instructions));
  draft.param = "messages";
  RETURN_IF_ERROR(each_element({"messages", *draft.input}, kMaxMessages, [&](JsonValue message) {
    return reader.add_message(message);
  }));
  if (draft.input->count() == 0) {
    return invalid("TRI-HTTP-029", "messages is empty, at least one is needed; add one");
  }
  draft.chat.messages_json = reader.chat().finish();
  if (reader.chat().size() == 0) {
    return invalid("TRI-HTTP-029", "messages has no message with text; add one");
  }
  draft.chat.continue_final_message = reader.is_last_assistant();
  draft.param.clear();
  return ok_status();
}

Status read_message_tools(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_array(field, kMaxTools));
  std::string out;
  JsonWriter json(out);
  json.open_array();
  RETURN_IF_ERROR(field.value.each([&](JsonValue tool) -> Status {
    if (!tool.is(Kind::kObject)) return wrong_value(field.name, tool, "a list of tools");
    const std::string type = type_of(tool);
    if (!type.empty() && type != "custom") {
      return invalid("TRI-HTTP-031",
                     "a tool has the type \"{}\", only custom tools are supported; leave it out",
                     type.substr(0, 64));
    }
    RETURN_IF_ERROR(add_tool_name("tool", tool, draft));
    write_tool(tool, json);
    return ok_status();
  }));
  json.close_array();
  if (!draft.tool_names.empty()) draft.chat.tools_json = std::move(out);
  return ok_status();
}

Status read_message_tool_choice(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  const auto [type_value, name_value, single] =
      pick(field.value, {"type", "name", "disable_parallel_tool_use"});
  if (single) {
    RETURN_IF_ERROR(
        read_flag({"tool_choice.disable_parallel_tool_use", *single}, draft.chat.one_call));
  }
  const std::string type = text_of(type_value);
  if (type == "auto") return ok_status();
  if (type == "none") {
    draft.chat.tool_choice = ToolChoice::kNone;
    return ok_status();
  }
  if (type == "any") {
    draft.chat.tool_choice = ToolChoice::kRequired;
    return ok_status();
  }
  const std::string name = text_of(name_value);
  if (type == "tool" && !name.empty()) return choose_tool(name, draft);
  return wrong_value(field.name, field.value, "of the type auto, any, none, or tool with a name");
}

}  // namespace trireme::gateway

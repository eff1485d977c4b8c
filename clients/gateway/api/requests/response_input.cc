#include "clients/gateway/api/requests/response_input.h"

#include "base/text.h"
#include "clients/gateway/api/json_writer.h"
#include "clients/gateway/api/requests/chat_builder.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

class ItemReader {
 public:
  explicit ItemReader(RequestDraft& draft) : draft_(draft) {}

  Status add(JsonValue item) {
    draft_.param = format_text("input[{}]", index_++);
    if (!item.is(Kind::kObject)) return wrong_item(draft_, item, "an object");
    const std::string type = type_of(item);
    if (type.empty() || type == "message") return add_message(item);
    if (type == "function_call") return add_call(item);
    if (type == "function_call_output") return add_output(item);
    if (type == "reasoning") return add_reasoning(item);
    if (type == "item_reference") {
      return refused(draft_.param, "no item is kept here; send the item itself");
    }
    return invalid("TRI-HTTP-030",
                   "{} has the type {}, which is not supported; leave it out",
                   draft_.param,
                   shown(*item.find("type")));
  }

  ChatBuilder& chat() { return chat_; }

 private:
  // A string, or parts of which each is a text or a refusal.
  Status read_content(JsonValue content, TextParts& parts) const {
    if (content.is(Kind::kString)) {
      parts.add(content.text());
      return ok_status();
    }
    if (!content.is(Kind::kArray)) {
      return wrong_item(draft_, content, "a string or a list of parts");
    }
    return content.each([&](JsonValue part) -> Status {
      if (!part.is(Kind::kObject)) return wrong_item(draft_, part, "a part with a type");
      const auto [type_value, words, refusal] = pick(part, {"type", "text", "refusal"});
      const std::string type = text_of(type_value);
      const bool is_text = type == "input_text" || type == "output_text" || type == "text" ||
                           type == "summary_text" || type == "reasoning_text";
      if (!is_text && type != "refusal") {
        return invalid("TRI-HTTP-030",
                       "{} has a part of type \"{}\", only text is supported; leave it out",
                       draft_.param,
                       type.substr(0, 64));
      }
      const std::optional<JsonValue>& text = is_text ? words : refusal;
      if (!text || !text->is(Kind::kString)) return wrong_item(draft_, part, "a part with a text");
      parts.add(text->text());
      return ok_status();
    });
  }

  Status add_message(JsonValue item) {
    const auto [role_value, content] = pick(item, {"role", "content"});
    if (!content) return wrong_item(draft_, item, "a message with content");
    TextParts parts;
    RETURN_IF_ERROR(read_content(*content, parts));
    const std::string role = text_of(role_value);
    if (role == "assistant") {
      if (chat_.has_answer()) chat_.end_turn();
      if (!parts.empty()) chat_.add_content(parts.size() == 1 ? parts.json() : joined(*content));
      return ok_status();
    }
    if (role != "user" && role != "system" && role != "developer") {
      return wrong_item(draft_, item, "of the role user, assistant, system or developer");
    }
    chat_.add_message(role, parts);
    return ok_status();
  }

  // The texts of an answer in several parts, as one JSON string.
  static std::string joined(JsonValue content) {
    std::string text;
    (void)content.each([&](JsonValue part) -> Status {
      const std::optional<JsonValue> found = part.find("text");
      text += text_of(found ? found : part.find("refusal"));
      return ok_status();
    });
    std::string out;
    append_json_string(text, out);
    return out;
  }

  Status add_call(JsonValue item) {
    const auto [id, name, arguments] = pick(item, {"call_id", "name", "arguments"});
    for (const auto& value : {id, name, arguments}) {
      if (!value || !value->is(Kind::kString)) {
        return wrong_item(draft_, item, "a function_call with call_id, name and arguments");
      }
    }
    chat_.add_call(id->text(), name->text(), arguments->string());
    return ok_status();
  }

  Status add_output(JsonValue item) {
    const auto [id, output] = pick(item, {"call_id", "output"});
    if (!id || !id->is(Kind::kString) || !output) {
      return wrong_item(draft_, item, "a function_call_output with call_id and output");
    }
    TextParts parts;
    RETURN_IF_ERROR(read_content(*output, parts));
    chat_.add_tool_result(id->text(), parts);
    return ok_status();
  }

  // `content` is the reasoning itself, `summary` what hosted models show of it.
  Status add_reasoning(JsonValue item) {
    for (const char* name : {"content", "summary"}) {
      const std::optional<JsonValue> list = item.find(name);
      if (!list || is_off(*list)) continue;
      if (!list->is(Kind::kArray)) return wrong_item(draft_, *list, "a list of parts");
      TextParts parts;
      RETURN_IF_ERROR(read_content(*list, parts));
      if (chat_.has_answer()) chat_.end_turn();
      return list->each([&](JsonValue part) -> Status {
        chat_.add_reasoning(text_of(part.find("text")));
        return ok_status();
      });
    }
    return ok_status();
  }

  RequestDraft& draft_;
  ChatBuilder chat_;
  size_t index_ = 0;
};

void write_function(JsonValue tool, JsonWriter& json) {
  json.open_object().member("type", "function").key("function").open_object();
  (void)tool.each_last_member([&](std::string_view key, JsonValue value) -> Status {
    if (key != "type") json.text_key(key).raw(value.text());
    return ok_status();
  });
  json.close_object().close_object();
}

}  // namespace

Status read_response_input(RequestDraft& draft) {
  ItemReader reader(draft);
  if (draft.instructions) {
    reader.chat().add_message("system", TextParts(draft.instructions->text()));
  }
  if (draft.input->is(Kind::kString)) {
    reader.chat().add_message("user", TextParts(draft.input->text()));
  } else {
    draft.param = "input";
    RETURN_IF_ERROR(each_element(
        {"input", *draft.input}, kMaxMessages, [&](JsonValue item) { return reader.add(item); }));
  }
  draft.chat.messages_json = reader.chat().finish();
  draft.param = "input";
  if (reader.chat().size() == 0) {
    return invalid("TRI-HTTP-029", "input has no message, at least one is needed; add one");
  }
  draft.param.clear();
  return ok_status();
}

Status read_response_tools(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_array(field, kMaxTools));
  draft.answer.tools_json = field.value.text();
  std::string out;
  JsonWriter json(out);
  json.open_array();
  RETURN_IF_ERROR(field.value.each([&](JsonValue tool) -> Status {
    const std::string type = type_of(tool);
    if (type.empty()) return wrong_value(field.name, tool, "a list of tools with a type");
    if (type != "function") {
      add_warning("tools." + type, draft);
      return ok_status();
    }
    RETURN_IF_ERROR(add_tool_name("function", tool, draft));
    write_function(tool, json);
    return ok_status();
  }));
  json.close_array();
  if (!draft.tool_names.empty()) draft.chat.tools_json = std::move(out);
  return ok_status();
}

}  // namespace trireme::gateway

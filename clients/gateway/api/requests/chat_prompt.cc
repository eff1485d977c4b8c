#include "clients/gateway/api/requests/chat_prompt.h"

#include <algorithm>

#include "base/text.h"
#include "clients/gateway/api/json_writer.h"
#include "clients/gateway/api/requests/field_values.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kRoles[] = {
    "system", "developer", "user", "assistant", "tool", "function"};

template <class... Args>
Status bad_message(size_t index,
                   RequestDraft& draft,
                   FormatString<std::type_identity_t<Args>...> format,
                   const Args&... args) {
  draft.param = format_text("messages[{}]", index);
  return invalid(
      "TRI-HTTP-029", "messages[{}] {}; correct it", index, format_text(format, args...));
}

// A part of a message's content: text alone is taken.
Status check_part(JsonValue part, size_t index, RequestDraft& draft) {
  if (!part.is(Kind::kObject)) {
    return bad_message(index, draft, "has the part {}, parts are objects with a type", shown(part));
  }
  const auto [type, text, refusal] = pick(part, {"type", "text", "refusal"});
  if (!type || !type->is(Kind::kString)) {
    return bad_message(index, draft, "has a part without a type, which is \"text\"");
  }
  const std::string kind = type->string();
  if (kind != "text" && kind != "refusal") {
    draft.param = format_text("messages[{}].content", index);
    return invalid("TRI-HTTP-030",
                   "messages[{}] has a part of type {}, only text is supported; leave it out",
                   index,
                   shown(*type));
  }
  const std::optional<JsonValue>& words = kind == "text" ? text : refusal;
  if (words && words->is(Kind::kString)) return ok_status();
  return bad_message(index, draft, "has a part of type {} without a string of that name", kind);
}

Status check_content(JsonValue content, size_t index, RequestDraft& draft) {
  if (content.is(Kind::kString) || content.is(Kind::kNull)) return ok_status();
  if (!content.is(Kind::kArray)) {
    return bad_message(
        index, draft, "has the content {}, allowed are a string or parts", shown(content));
  }
  return content.each([&](JsonValue part) { return check_part(part, index, draft); });
}

Status check_calls(JsonValue calls, size_t index, RequestDraft& draft) {
  if (!calls.is(Kind::kArray)) {
    return bad_message(index, draft, "has tool_calls that are no array");
  }
  return calls.each([&](JsonValue call) -> Status {
    const std::optional<JsonValue> function =
        call.is(Kind::kObject) ? call.find("function") : std::nullopt;
    if (!function || !function->is(Kind::kObject)) {
      return bad_message(index, draft, "has a tool call without a function");
    }
    const std::optional<JsonValue> name = function->find("name");
    if (!name || !name->is(Kind::kString)) {
      return bad_message(index, draft, "has a tool call whose function has no name");
    }
    return ok_status();
  });
}

struct MessageFields {
  std::optional<JsonValue> role, content, calls, call_id;
};

Status check_member(
    std::string_view key, JsonValue value, size_t index, RequestDraft& draft, MessageFields& seen) {
  if (key == "role") seen.role = value;
  if (key == "content") seen.content = value;
  if (key == "tool_calls") seen.calls = value;
  if (key == "tool_call_id") seen.call_id = value;
  if ((key != "function_call" && key != "audio") || value.is(Kind::kNull)) return ok_status();
  draft.param = format_text("messages[{}].{}", index, key);
  return refused(draft.param, key == "audio" ? "only text is supported" : "use tool_calls");
}

Status check_message(JsonValue message, size_t index, RequestDraft& draft) {
  if (!message.is(Kind::kObject)) return bad_message(index, draft, "is no object");
  MessageFields seen;
  RETURN_IF_ERROR(message.each_member([&](std::string_view key, JsonValue value) {
    return check_member(key, value, index, draft, seen);
  }));
  if (!seen.role || !seen.role->is(Kind::kString)) {
    return bad_message(index, draft, "has no role");
  }
  const std::string role = seen.role->string();
  if (std::ranges::find(kRoles, role) == std::end(kRoles)) {
    return bad_message(
        index, draft, "has the role {}, allowed are {}", shown(*seen.role), join_choices(kRoles));
  }
  const bool has_calls = seen.calls && !is_off(*seen.calls);
  const bool has_content = seen.content && !seen.content->is(Kind::kNull);
  if (!has_content && role != "assistant") return bad_message(index, draft, "has no content");
  if (seen.content) RETURN_IF_ERROR(check_content(*seen.content, index, draft));
  if (has_calls) {
    if (role != "assistant") return bad_message(index, draft, "has tool_calls, but is of {}", role);
    RETURN_IF_ERROR(check_calls(*seen.calls, index, draft));
  }
  if (role == "tool" && seen.call_id && !seen.call_id->is(Kind::kString)) {
    return bad_message(index, draft, "has a tool_call_id that is no string");
  }
  return ok_status();
}

Status check_tool(JsonValue tool, RequestDraft& draft) {
  if (!tool.is(Kind::kObject)) {
    return invalid("TRI-HTTP-031",
                   "tools has the element {}, it has to be an object; correct it",
                   shown(tool));
  }
  const auto [type, function] = pick(tool, {"type", "function"});
  if (text_of(type) != "function") {
    return invalid("TRI-HTTP-031",
                   "a tool has the type {}, only \"function\" is supported; leave it out",
                   type ? shown(*type) : std::string("null"));
  }
  if (!function || !function->is(Kind::kObject)) {
    return invalid("TRI-HTTP-031", "a tool has no function; add its name and parameters");
  }
  return add_tool_name("function", *function, draft);
}

// {"type": "function", "function": {"name": ...}}, or the name beside the type.
Status read_named_choice(JsonValue choice, RequestDraft& draft) {
  const std::string type = type_of(choice);
  if (type == "function") {
    const std::optional<JsonValue> function = choice.find("function");
    const std::optional<JsonValue> name =
        function && function->is(Kind::kObject) ? function->find("name") : choice.find("name");
    if (name && name->is(Kind::kString)) return choose_tool(name->string(), draft);
  }
  if (type == "allowed_tools") {
    return refused("tool_choice.allowed_tools", "send these tools only");
  }
  return wrong_value("tool_choice", choice, "none, auto, required or a function with its name");
}

bool has_member(const std::optional<JsonValue>& object, std::string_view name) {
  return object && object->find(name).has_value();
}

// The template variables of the request: chat_template_kwargs, which wins, and the two that
// reasoning_effort and `thinking` stand for.
std::string kwargs_json(const RequestDraft& draft) {
  const bool has_kwargs = draft.template_kwargs && draft.template_kwargs->count() > 0;
  std::optional<bool> thinks = draft.enable_thinking;
  if (!thinks && !draft.reasoning_effort.empty()) thinks = draft.reasoning_effort != "none";
  if (!has_kwargs && !thinks) return "";
  std::string out;
  JsonWriter json(out);
  json.open_object();
  if (has_kwargs) {
    const std::string_view text = draft.template_kwargs->text();
    json.raw(text.substr(1, text.size() - 2));
  }
  if (!draft.reasoning_effort.empty() && !has_member(draft.template_kwargs, "reasoning_effort")) {
    json.member("reasoning_effort", draft.reasoning_effort);
  }
  if (thinks && !has_member(draft.template_kwargs, "enable_thinking")) {
    json.member("enable_thinking", *thinks);
  }
  json.close_object();
  return out;
}

}  // namespace

Status read_messages_field(const FieldValue& field, RequestDraft& draft) {
  size_t index = 0;
  RETURN_IF_ERROR(each_element(field, kMaxMessages, [&](JsonValue message) {
    return check_message(message, index++, draft);
  }));
  if (index == 0) {
    return invalid("TRI-HTTP-029", "messages is empty, at least one is needed; add one");
  }
  draft.chat.messages_json = field.value.text();
  return ok_status();
}

Status add_tool_name(std::string_view subject, JsonValue function, RequestDraft& draft) {
  const auto [name, strict] = pick(function, {"name", "strict"});
  if (text_of(name).empty()) {
    return invalid("TRI-HTTP-031", "a {} of tools has no name; add it", subject);
  }
  if (strict && !is_off(*strict)) add_warning("tools.strict", draft);
  draft.tool_names.push_back(name->string());
  return ok_status();
}

Status read_tools(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(
      each_element(field, kMaxTools, [&](JsonValue tool) { return check_tool(tool, draft); }));
  if (!draft.tool_names.empty()) draft.chat.tools_json = field.value.text();
  return ok_status();
}

Status choose_tool(const std::string& name, RequestDraft& draft) {
  draft.chat.tool_choice = ToolChoice::kNamed;
  draft.chat.tool_name = name;
  return ok_status();
}

Status read_tool_choice(const FieldValue& field, RequestDraft& draft) {
  if (field.value.is(Kind::kObject)) return read_named_choice(field.value, draft);
  std::string word;
  RETURN_IF_ERROR(read_word(field, {"none", "auto", "required"}, word));
  if (word == "none") draft.chat.tool_choice = ToolChoice::kNone;
  if (word == "required") draft.chat.tool_choice = ToolChoice::kRequired;
  return ok_status();
}

Status read_parallel_tool_calls(const FieldValue& field, RequestDraft& draft) {
  bool parallel = true;
  RETURN_IF_ERROR(read_flag(field, parallel));
  draft.chat.one_call = !parallel;
  draft.answer.parallel_tool_calls = parallel;
  return ok_status();
}

Status read_reasoning_effort(const FieldValue& field, RequestDraft& draft) {
  return read_word(
      field, {"none", "minimal", "low", "medium", "high", "xhigh", "max"}, draft.reasoning_effort);
}

Status finish_chat(RequestDraft& draft) {
  draft.param = "tool_choice";
  if (draft.chat.needs_call() && draft.tool_names.empty()) {
    return invalid("TRI-HTTP-031", "tool_choice asks for a call, but there are no tools; add them");
  }
  if (draft.chat.tool_choice == ToolChoice::kNamed &&
      std::ranges::find(draft.tool_names, draft.chat.tool_name) == draft.tool_names.end()) {
    return invalid("TRI-HTTP-031",
                   "tool_choice names a function that is not among the {} tools; correct it",
                   draft.tool_names.size());
  }
  draft.param = "continue_final_message";
  if (draft.chat.continue_final_message && draft.add_generation_prompt.value_or(false)) {
    return invalid("TRI-HTTP-032",
                   "continue_final_message and add_generation_prompt are both true; set one");
  }
  draft.param.clear();
  draft.chat.no_generation_prompt =
      draft.chat.continue_final_message || !draft.add_generation_prompt.value_or(true);
  draft.chat.kwargs_json = kwargs_json(draft);
  return ok_status();
}

}  // namespace trireme::gateway

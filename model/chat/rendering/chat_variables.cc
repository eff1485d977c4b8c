#include "model/chat/rendering/chat_variables.h"

#include <algorithm>
#include <optional>

#include "base/json_value.h"

namespace trireme {
namespace {

constexpr const char* kMalformed = "TRI-CHAT-006";
constexpr std::string_view kRemedy = "send valid JSON";
constexpr std::string_view kRoles[] = {
    "system", "developer", "user", "assistant", "tool", "function", "ipython"};
constexpr std::string_view kReserved[] = {
    "messages", "tools", "documents", "add_generation_prompt"};
constexpr std::string_view kReasoningNames[] = {"reasoning_content", "reasoning", "thinking"};

using Kind = JsonValue::Kind;

Status too_large() {
  return invalid("TRI-CHAT-003",
                 "rendering the chat reached a limit: it makes more than 64 MiB of values; shorten "
                 "it");
}

class MessageReader {
 public:
  MessageReader(JinjaHeap& heap, const MessageForm& form, ChatVariables& out)
      : heap_(heap), form_(form), out_(out) {}

  Status read(JsonValue json, size_t index, JinjaValue& message) {
    index_ = index;
    if (!json.is(Kind::kObject)) return wrong("is no object");
    const auto role = json.find("role");
    if (!role || !role->is(Kind::kString)) return wrong("has no role");
    out_.last_role = role->string();
    origin_ = out_.last_role == "assistant" ? Origin::kAssistant : Origin::kMessage;
    if (!heap_.from_json(json, origin_, message)) return too_large();
    set_role(message);
    drop_nulls(message);
    set_reasoning(json, message);
    RETURN_IF_ERROR(set_content(json, message));
    return set_calls(json, message);
  }

 private:
  Status wrong(std::string_view fault) const {
    return invalid(kMalformed, "message {} {}; correct the messages", index_, fault);
  }

  void set_role(JinjaValue message) {
    std::string role = out_.last_role;
    if (std::ranges::find(kRoles, role) == std::end(kRoles)) return;
    if (role == "developer" && form_.developer_as_system) role = "system";
    heap_.set(message, "role", heap_.string(role, Origin::kTemplate));
  }

  // Clients send back every field of an answer, most of them null.
  void drop_nulls(JinjaValue message) {
    std::vector<std::string> nulls;
    for (size_t i = 0; i < message.size(); ++i) {
      const std::string name(message.key_at(i).text());
      const JinjaValue value = message.value_at(i);
      const bool empty_calls =
          name == "tool_calls" && value.is(JinjaKind::kList) && value.size() == 0;
      if (name != "content" && (value.is(JinjaKind::kNone) || empty_calls)) nulls.push_back(name);
    }
    for (const std::string& name : nulls) heap_.erase(message, name);
  }

  void set_reasoning(JsonValue json, JinjaValue message) {
    for (const std::string_view name : kReasoningNames) {
      const auto reasoning = json.find(name);
      if (!reasoning || !reasoning->is(Kind::kString)) continue;
      const JinjaValue text = heap_.string(reasoning->string(), origin_);
      for (const std::string_view other : kReasoningNames) heap_.set(message, other, text);
      return;
    }
  }

  Status set_content(JsonValue json, JinjaValue message) {
    out_.last_content.clear();
    const auto content = json.find("content");
    if (!content || content->is(Kind::kNull)) {
      const bool beside_calls = message.find("tool_calls") != nullptr;
      if (beside_calls || content) set_text("", message);
      return ok_status();
    }
    if (content->is(Kind::kString)) {
      out_.last_content = content->string();
      set_text(out_.last_content, message);
      return ok_status();
    }
    if (!content->is(Kind::kArray)) return ok_status();  // an object: the template decides
    std::vector<std::string> texts;
    RETURN_IF_ERROR(content->each([&](JsonValue part) { return add_part(part, texts); }));
    if (form_.takes_parts(out_.last_role) && (texts.size() > 1 || !form_.text_content)) {
      set_parts(texts, message);
      return ok_status();
    }
    for (size_t i = 0; i < texts.size(); ++i) out_.last_content += (i > 0 ? "\n" : "") + texts[i];
    set_text(out_.last_content, message);
    return ok_status();
  }

  Status add_part(JsonValue part, std::vector<std::string>& texts) const {
    if (part.is(Kind::kString)) {
      texts.push_back(part.string());
      return ok_status();
    }
    if (!part.is(Kind::kObject)) return wrong("has a part that is no object");
    const auto type = part.find("type");
    const auto text = part.find("text");
    const bool is_text = !type || (type->is(Kind::kString) && type->string() == "text");
    if (!is_text || !text || !text->is(Kind::kString)) {
      return invalid("TRI-CHAT-004",
                     "message {} has a part that is no text, and this server takes text only; send "
                     "text",
                     index_);
    }
    texts.push_back(text->string());
    return ok_status();
  }

  // Text, or a list with one part where the template takes nothing else.
  void set_text(std::string_view text, JinjaValue message) {
    if (form_.text_content) {
      heap_.set(message, "content", heap_.string(text, origin_));
      return;
    }
    set_parts({std::string(text)}, message);
  }

  void set_parts(const std::vector<std::string>& texts, JinjaValue message) {
    const JinjaValue parts = heap_.list();
    for (const std::string& text : texts) {
      const JinjaValue part = heap_.dict();
      heap_.set(part, "type", heap_.string("text", Origin::kTemplate));
      heap_.set(part, "text", heap_.string(text, origin_));
      heap_.push(parts, part);
    }
    heap_.set(message, "content", parts);
  }

  Status set_calls(JsonValue json, JinjaValue message) {
    const auto calls = json.find("tool_calls");
    const JinjaValue* values = message.find("tool_calls");
    if (!calls || !values) return ok_status();
    if (!calls->is(Kind::kArray)) return wrong("has tool_calls that are no list");
    out_.has_calls = true;
    size_t index = 0;
    return calls->each([&](JsonValue call) {
      if (!call.is(Kind::kObject)) return wrong("has a tool call that is no object");
      JinjaValue value = values->at(index++);
      const auto function = call.find("function");
      if (function && function->is(Kind::kObject)) {
        const JinjaValue* inner = value.find("function");
        return set_arguments(*function, *inner);
      }
      return set_arguments(call, value);
    });
  }

  Status set_arguments(JsonValue call, JinjaValue value) {
    const auto arguments = call.find("arguments");
    if (!arguments || !value.find("arguments")) return ok_status();
    const bool is_text = arguments->is(Kind::kString);
    if (form_.arguments_as_text) {
      if (is_text) return ok_status();
      heap_.set(value, "arguments", heap_.string(arguments->text(), origin_));
      return ok_status();
    }
    if (!is_text) return ok_status();
    const std::string text = arguments->string();
    const std::string object = text.empty() ? "{}" : text;
    const auto parsed =
        JsonValue::parse(object, kMalformed, "the arguments", JsonNumbers::kAnySize, kRemedy);
    if (!parsed.ok() || !parsed->is(Kind::kObject)) return ok_status();
    JinjaValue dict;
    if (!heap_.from_json(*parsed, origin_, dict)) return too_large();
    heap_.set(value, "arguments", dict);
    return ok_status();
  }

  JinjaHeap& heap_;
  const MessageForm& form_;
  ChatVariables& out_;
  size_t index_ = 0;
  Origin origin_ = Origin::kMessage;
};

// A list of objects of at most `max_count` elements; none where the text is "".
Status read_list(
    JinjaHeap& heap, const std::string& json, const char* name, size_t max_count, JinjaValue& out) {
  out = JinjaValue::none();
  if (json.empty()) return ok_status();
  ASSIGN_OR_RETURN(const JsonValue list,
                   JsonValue::parse(json, kMalformed, name, JsonNumbers::kAnySize, kRemedy));
  if (list.is(Kind::kNull)) return ok_status();
  if (!list.is(Kind::kArray)) return invalid(kMalformed, "{} is no list; send a list", name);
  size_t count = 0;
  RETURN_IF_ERROR(list.each([&](JsonValue element) {
    ++count;
    if (element.is(Kind::kObject)) return ok_status();
    return invalid(kMalformed, "element {} of {} is no object; send objects", count - 1, name);
  }));
  if (count > max_count) {
    return invalid(kMalformed, "{} has {} elements; at most {} are taken", name, count, max_count);
  }
  if (count == 0) return ok_status();
  return heap.from_json(list, Origin::kMessage, out) ? ok_status() : too_large();
}

Status read_messages(JinjaHeap& heap,
                     const ChatRequest& request,
                     const MessageForm& form,
                     ChatVariables& out,
                     JinjaValue& messages) {
  ASSIGN_OR_RETURN(
      const JsonValue list,
      JsonValue::parse(
          request.messages_json, kMalformed, "messages", JsonNumbers::kAnySize, kRemedy));
  if (!list.is(Kind::kArray)) return invalid(kMalformed, "messages is no list; send a list");
  const size_t count = list.count();
  if (count == 0 || count > kMaxMessages) {
    return invalid(kMalformed, "the chat has {} messages; 1 to {} are taken", count, kMaxMessages);
  }
  messages = heap.list();
  MessageReader reader(heap, form, out);
  size_t index = 0;
  return list.each([&](JsonValue json) {
    JinjaValue message;
    RETURN_IF_ERROR(reader.read(json, index++, message));
    heap.push(messages, message);
    if (heap.used_bytes() > kMaxJinjaValueBytes) return too_large();
    return ok_status();
  });
}

// Variables of the request's own; reasoning_effort also says whether to think at all.
Status read_kwargs(JinjaHeap& heap, const std::string& json, JinjaValue variables) {
  if (json.empty()) return ok_status();
  constexpr const char* kName = "chat_template_kwargs";
  ASSIGN_OR_RETURN(const JsonValue kwargs,
                   JsonValue::parse(json, kMalformed, kName, JsonNumbers::kAnySize, kRemedy));
  if (kwargs.is(Kind::kNull)) return ok_status();
  if (!kwargs.is(Kind::kObject)) return invalid(kMalformed, "{} is no object", kName);
  const auto effort = kwargs.find("reasoning_effort");
  if (effort && effort->is(Kind::kString)) {
    heap.set(variables, "enable_thinking", JinjaValue::boolean(effort->string() != "none"));
  }
  return kwargs.each_member([&](std::string_view name, JsonValue value) {
    if (std::ranges::find(kReserved, name) != std::end(kReserved)) {
      return invalid(kMalformed, "{} sets {}, which the request has a field for", kName, name);
    }
    JinjaValue out;
    if (!heap.from_json(value, Origin::kMessage, out)) return too_large();
    heap.set(variables, name, out);
    return ok_status();
  });
}

}  // namespace

bool MessageForm::takes_parts(std::string_view role) const {
  return std::ranges::find(parts_roles, role) != parts_roles.end();
}

StatusOr<ChatVariables> make_chat_variables(
    JinjaHeap& heap,
    const ChatRequest& request,
    const MessageForm& form,
    const std::vector<std::pair<std::string, std::string>>& tokens,
    bool add_generation_prompt) {
  ChatVariables out;
  JinjaValue messages;
  JinjaValue tools;
  JinjaValue documents;
  RETURN_IF_ERROR(read_messages(heap, request, form, out, messages));
  RETURN_IF_ERROR(
      with_field(read_list(heap, request.tools_json, "tools", kMaxTools, tools), "tools"));
  RETURN_IF_ERROR(with_field(
      read_list(heap, request.documents_json, "documents", kMaxMessages, documents), "documents"));
  out.has_tools = !tools.is(JinjaKind::kNone);
  out.values = heap.dict();
  for (const auto& [name, text] : tokens) {
    heap.set(out.values, name, heap.string(text, Origin::kTemplate));
  }
  RETURN_IF_ERROR(
      with_field(read_kwargs(heap, request.kwargs_json, out.values), "chat_template_kwargs"));
  heap.set(out.values, "messages", messages);
  heap.set(out.values, "tools", tools);
  heap.set(out.values, "documents", documents);
  heap.set(out.values, "add_generation_prompt", JinjaValue::boolean(add_generation_prompt));
  if (heap.used_bytes() > kMaxJinjaValueBytes) return too_large();
  return out;
}

}  // namespace trireme

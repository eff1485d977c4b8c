#include "clients/gateway/api/answers/saved_form.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/json_value.h"
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/json_writer.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

constexpr int64_t kFormVersion = 1;
constexpr int32_t kMostChoices = 4096;  // of all prompts: what memory the writer may take

constexpr std::pair<Api, std::string_view> kApiNames[] = {
    {Api::kChatCompletions, "chat"},
    {Api::kCompletions, "completion"},
    {Api::kResponses, "response"},
    {Api::kMessages, "message"},
};

// One call per member, for the writer and for the reader of the bytes.
template <class Form, class Visit>
void visit_members(Form& options, Visit visit) {
  visit("model", options.model);
  visit("created_s", options.created_s);
  visit("streamed", options.streamed);
  visit("num_prompts", options.num_prompts);
  visit("num_choices", options.num_choices);
  visit("includes_usage", options.includes_usage);
  visit("continuous_usage", options.continuous_usage);
  visit("returns_token_ids", options.returns_token_ids);
  visit("has_logprobs", options.has_logprobs);
  visit("echoes", options.echoes);
  visit("prompt_logprobs", options.prompt_logprobs);
  visit("is_prompt_only", options.is_prompt_only);
  visit("instructions_json", options.instructions_json);
  visit("tools_json", options.tools_json);
  visit("tool_choice_json", options.tool_choice_json);
  visit("reasoning_effort", options.reasoning_effort);
  visit("max_output_tokens", options.max_output_tokens);
  visit("temperature", options.temperature);
  visit("top_p", options.top_p);
  visit("top_logprobs", options.top_logprobs);
  visit("parallel_tool_calls", options.parallel_tool_calls);
}

void write_value(JsonWriter& json, const std::string& value) { json.string(value); }
void write_value(JsonWriter& json, bool value) { json.boolean(value); }
void write_value(JsonWriter& json, int32_t value) { json.integer(value); }
void write_value(JsonWriter& json, int64_t value) { json.integer(value); }
void write_value(JsonWriter& json, float value) { json.number(value); }
template <class Value>
void write_value(JsonWriter& json, const std::optional<Value>& value) {
  if (value) {
    write_value(json, *value);
  } else {
    json.null();
  }
}

// Each returns whether the value is of this kind.
bool read_value(JsonValue from, std::string& to) {
  if (!from.is(Kind::kString)) return false;
  to = from.string();
  return true;
}
bool read_value(JsonValue from, bool& to) {
  if (!from.is(Kind::kBoolean)) return false;
  to = from.boolean();
  return true;
}
bool read_value(JsonValue from, int64_t& to) { return from.is(Kind::kNumber) && from.integer(to); }
bool read_value(JsonValue from, int32_t& to) {
  int64_t value = 0;
  if (!read_value(from, value) || value < INT32_MIN || value > INT32_MAX) return false;
  to = static_cast<int32_t>(value);
  return true;
}
bool read_value(JsonValue from, float& to) {
  if (!from.is(Kind::kNumber)) return false;
  to = static_cast<float>(from.number());
  return std::isfinite(to);
}
template <class Value>
bool read_value(JsonValue from, std::optional<Value>& to) {
  if (from.is(Kind::kNull)) return true;
  return read_value(from, to.emplace());
}

Status unknown_form() {
  return invalid("TRI-HTTP-036",
                 "the answer was begun by another client, or by another version of the gateway, "
                 "which alone can write the rest; resume it there");
}

bool read_members(JsonValue root, SavedForm& form) {
  const std::optional<JsonValue> api = root.find("api");
  if (!api || !api->is(Kind::kString)) return false;
  const std::string name = api->string();
  const auto* known = std::ranges::find(
      kApiNames, std::string_view(name), [](const auto& pair) { return pair.second; });
  if (known == std::end(kApiNames)) return false;
  form.api = known->first;
  bool is_whole = true;
  visit_members(form.options, [&](const char* member, auto& to) {
    const std::optional<JsonValue> value = root.find(member);
    is_whole = is_whole && value && read_value(*value, to);
  });
  const AnswerOptions& options = form.options;
  const bool has_choices = options.num_prompts > 0 && options.num_choices > 0;
  return is_whole && options.streamed && has_choices &&
         options.num_prompts <= kMostChoices / options.num_choices;
}

}  // namespace

std::string save_form(const SavedForm& form) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("version", kFormVersion);
  json.member(
      "api",
      std::ranges::find(kApiNames, form.api, &std::pair<Api, std::string_view>::first)->second);
  visit_members(form.options, [&](const char* member, const auto& value) {
    json.key(member);
    write_value(json, value);
  });
  json.close_object();
  return out;
}

StatusOr<SavedForm> read_form(std::string_view bytes) {
  const auto root = JsonValue::parse(bytes, "TRI-HTTP-036", "the form of the answer");
  if (!root.ok() || !root->is(Kind::kObject)) return unknown_form();
  const std::optional<JsonValue> version = root->find("version");
  int64_t number = 0;
  if (!version || !read_value(*version, number) || number != kFormVersion) return unknown_form();
  SavedForm form;
  if (!read_members(*root, form)) return unknown_form();
  return form;
}

std::optional<SavedForm> common_form(std::string_view own,
                                     std::span<const door::Accepted> accepted) {
  auto form = read_form(own);
  if (!form.ok()) return std::nullopt;
  SavedForm first = *form;
  for (const door::Accepted& prompt : accepted) {
    if (!prompt.repeated_key) continue;
    const auto begun = read_form(prompt.client_state);
    if (!begun.ok()) return std::nullopt;
    form->options.created_s = begun->options.created_s;
    if (save_form(*form) != save_form(*begun)) return std::nullopt;
    if (&prompt == accepted.data()) first = *begun;
  }
  return first;
}

std::unique_ptr<AnswerWriter> make_writer(const SavedForm& form) {
  switch (form.api) {
    case Api::kCompletions:
      return make_completion_writer(form.options);
    case Api::kResponses:
      return make_response_writer(form.options);
    case Api::kMessages:
      return make_message_writer(form.options);
    default:
      return make_chat_writer(form.options);
  }
}

}  // namespace trireme::gateway

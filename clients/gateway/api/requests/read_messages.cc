// POST /v1/messages and /v1/messages/count_tokens: fields and question.
// tidy: table
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"
#include "clients/gateway/api/requests/message_blocks.h"
#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/shared_fields.h"
#include "model/sampling_params.h"

namespace trireme::gateway {
namespace {

Status read_messages(const FieldValue& field, RequestDraft& draft) {
  draft.input = field.value;
  return ok_status();
}

Status read_system(const FieldValue& field, RequestDraft& draft) {
  draft.instructions = field.value;
  return ok_status();
}

// `adaptive` leaves the depth to the model.
Status read_thinking(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_object(field));
  const std::optional<JsonValue> type = field.value.find("type");
  if (!type) return wrong_value(field.name, field.value, "an object with a type");
  std::string word;
  RETURN_IF_ERROR(read_word({"thinking.type", *type}, {"enabled", "disabled", "adaptive"}, word));
  draft.enable_thinking = word != "disabled";
  const auto is_read = [](const FieldValue&, RequestDraft&) { return ok_status(); };
  return read_members(field, {{"type", is_read}}, draft);
}

Status read_output_config(const FieldValue& field, RequestDraft& draft) {
  return read_members(
      field, {{"effort", read_reasoning_effort}, {"format", refuse_structure}}, draft);
}

Status read_stop_sequences(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(check_array(field, kMaxStopStrings));
  return read_texts(field, kMaxStopStrings, draft.sampling.stop);
}

// Taken, and without a meaning here: every prompt is cached.
Status read_cache_control(const FieldValue& field, RequestDraft& /*draft*/) {
  return check_object(field);
}

Status read_servers(const FieldValue& field, RequestDraft& /*draft*/) {
  return is_off(field.value) ? ok_status() : refused(field.name, field.note);
}

constexpr std::string_view kNoServers = "this server reaches no other; offer a tool for it";

constexpr Field kPrompt[] = {
    {"messages",
     FieldKind::kHonoured,
     R"({"type":"array","minItems":1,"maxItems":4096,"items":)"
     R"({"$ref":"#/components/schemas/AnthropicMessage"}})",
     read_messages,
     "",
     /*is_required=*/true},
    {"system",
     FieldKind::kHonoured,
     R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"object"}}]})",
     read_system},
    {"tools",
     FieldKind::kHonoured,
     R"({"type":"array","maxItems":1024,"items":{"$ref":"#/components/schemas/AnthropicTool"}})",
     read_message_tools},
    {"tool_choice",
     FieldKind::kHonoured,
     R"({"type":"object","required":["type"],"properties":{"type":)"
     R"({"enum":["auto","any","tool","none"]},"name":{"type":"string"},)"
     R"("disable_parallel_tool_use":{"type":"boolean"}}})",
     read_message_tool_choice},
    {"thinking",
     FieldKind::kHonoured,
     R"({"type":"object","required":["type"],"properties":{"type":)"
     R"({"enum":["enabled","disabled","adaptive"]},"budget_tokens":{"type":"integer"}}})",
     read_thinking},
    {"output_config",
     FieldKind::kHonoured,
     R"({"type":"object","properties":{"effort":)"
     R"({"enum":["none","minimal","low","medium","high","xhigh","max"]}}})",
     read_output_config},
    {"cache_control", FieldKind::kHonoured, schema::kObject, read_cache_control},
    {"output_format", FieldKind::kRefused, schema::kNothing, refuse_structure},
    {"mcp_servers",
     FieldKind::kRefused,
     R"({"type":"array","maxItems":0})",
     read_servers,
     kNoServers},
    {"container", FieldKind::kRefused, schema::kAny, nullptr, kNoServers},
    {"context_management", FieldKind::kTunes, schema::kObject},
    {"metadata", FieldKind::kTunes, schema::kObject},
    {"service_tier", FieldKind::kTunes, schema::kText},
    {"inference_geo", FieldKind::kTunes, schema::kText},
    {"speed", FieldKind::kTunes, schema::kText},
};

constexpr Field kMessages[] = {
    {"max_tokens",
     FieldKind::kHonoured,
     schema::kNumTokensOrNone,
     read_max_tokens_or_none,
     "",
     /*is_required=*/true},
    {"stop_sequences",
     FieldKind::kHonoured,
     R"({"type":"array","maxItems":64,"items":{"type":"string"}})",
     read_stop_sequences},
};

Status finish_prompt(RequestDraft& draft) {
  RETURN_IF_ERROR(read_message_blocks(draft));
  return finish_chat(draft);
}

}  // namespace

FieldBlock message_prompt_fields() { return kPrompt; }
FieldBlock message_fields() { return kMessages; }

Status finish_message(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  RETURN_IF_ERROR(finish_prompt(draft));
  ask_chat(draft, headers, call);
  call.writer = make_message_writer(draft.answer);
  return ok_status();
}

Status finish_count_tokens(RequestDraft& draft, ApiCall& call) {
  RETURN_IF_ERROR(finish_prompt(draft));
  call.questions.emplace<door::Tokenize>().what = std::move(draft.chat);
  return ok_status();
}

}  // namespace trireme::gateway

// POST /v1/responses: fields and question. Nothing is kept between requests.
// tidy: table
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"
#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/response_input.h"
#include "clients/gateway/api/requests/shared_fields.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

Status read_input(const FieldValue& field, RequestDraft& draft) {
  if (!field.value.is(Kind::kString) && !field.value.is(Kind::kArray)) {
    return wrong_value(field.name, field.value, "a string or a list of items");
  }
  draft.input = field.value;
  return ok_status();
}

Status read_instructions(const FieldValue& field, RequestDraft& draft) {
  if (!field.value.is(Kind::kString)) return wrong_value(field.name, field.value, "a string");
  draft.instructions = field.value;
  draft.answer.instructions_json = field.value.text();
  return ok_status();
}

Status read_choice(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(read_tool_choice(field, draft));
  draft.answer.tool_choice_json = field.value.text();
  return ok_status();
}

Status read_reasoning(const FieldValue& field, RequestDraft& draft) {
  return read_members(field, {{"effort", read_reasoning_effort}}, draft);
}

Status read_text_options(const FieldValue& field, RequestDraft& draft) {
  return read_members(field, {{"format", read_response_format}}, draft);
}

Status read_include(const FieldValue& field, RequestDraft& draft) {
  std::vector<std::string> words;
  RETURN_IF_ERROR(read_texts(field, 64, words));
  for (const std::string& word : words) {
    if (word == "message.output_text.logprobs") {
      draft.has_logprobs = true;
    } else {
      add_warning("include." + word, draft);
    }
  }
  return ok_status();
}

Status read_truncation(const FieldValue& field, RequestDraft& /*draft*/) {
  std::string word;
  RETURN_IF_ERROR(read_word(field, {"disabled", "auto"}, word));
  return word == "disabled" ? ok_status() : refused(field.name, field.note);
}

constexpr std::string_view kStateless = "nothing is kept between requests; send the whole input";

constexpr Field kResponses[] = {
    {"input",
     FieldKind::kHonoured,
     R"({"anyOf":[{"type":"string"},{"type":"array","maxItems":4096,)"
     R"("items":{"type":"object"}}]})",
     read_input,
     "",
     /*is_required=*/true},
    {"instructions", FieldKind::kHonoured, schema::kText, read_instructions},
    {"max_output_tokens", FieldKind::kHonoured, schema::kNumTokens, read_max_tokens},
    {"tools",
     FieldKind::kHonoured,
     R"({"type":"array","maxItems":1024,"items":{"type":"object"}})",
     read_response_tools},
    {"tool_choice", FieldKind::kHonoured, schema::kToolChoice, read_choice},
    {"parallel_tool_calls", FieldKind::kHonoured, schema::kFlag, read_parallel_tool_calls},
    {"reasoning", FieldKind::kHonoured, schema::kObject, read_reasoning},
    {"top_logprobs", FieldKind::kHonoured, schema::kLogprobs, read_top_logprobs},
    {"include", FieldKind::kHonoured, schema::kTexts, read_include},
    {"text",
     FieldKind::kRefused,
     R"({"type":"object","properties":{"format":{"type":"object","required":["type"],)"
     R"("properties":{"type":{"const":"text"}}}}})",
     read_text_options,
     "text.format is refused"},
    {"max_tool_calls", FieldKind::kTunes, schema::kWhole},
    {"stream_options", FieldKind::kTunes, schema::kObject},
    {"truncation",
     FieldKind::kRefused,
     R"({"const":"disabled"})",
     read_truncation,
     "an input is never cut; shorten it"},
    {"previous_response_id", FieldKind::kRefused, schema::kText, nullptr, kStateless},
    {"conversation", FieldKind::kRefused, schema::kAny, nullptr, kStateless},
    {"background", FieldKind::kRefused, schema::kOnlyFalse, read_flag_off, kStateless},
    {"prompt", FieldKind::kRefused, schema::kObject, nullptr, kStateless},
    {"context_management", FieldKind::kRefused, schema::kAny, nullptr, kStateless},
    {"moderation", FieldKind::kRefused, schema::kAny, nullptr, "nothing is moderated here"},
};

}  // namespace

FieldBlock response_fields() { return kResponses; }

Status finish_response(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  RETURN_IF_ERROR(read_response_input(draft));
  RETURN_IF_ERROR(finish_chat(draft));
  if (draft.has_logprobs || draft.top_logprobs.value_or(0) > 0) {
    draft.sampling.logprobs = draft.top_logprobs.value_or(0);
    draft.answer.has_logprobs = true;
    draft.answer.top_logprobs = *draft.sampling.logprobs;
  }
  draft.answer.reasoning_effort = draft.reasoning_effort;
  draft.answer.max_output_tokens = draft.sampling.max_tokens;
  draft.answer.temperature = draft.sampling.temperature;
  draft.answer.top_p = draft.sampling.top_p;
  ask_chat(draft, headers, call);
  call.writer = make_response_writer(draft.answer);
  return ok_status();
}

}  // namespace trireme::gateway

// POST /v1/chat/completions: fields and questions.
// tidy: table
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"
#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/shared_fields.h"

namespace trireme::gateway {
namespace {

Status read_logprobs(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.has_logprobs);
}

Status read_modalities(const FieldValue& field, RequestDraft& /*draft*/) {
  std::vector<std::string> words;
  RETURN_IF_ERROR(read_texts(field, 16, words));
  for (const std::string& word : words) {
    if (word != "text") return refused(field.name, field.note);
  }
  return ok_status();
}

constexpr std::string_view kTextOnly = "text alone is supported; leave it out";

constexpr Field kChat[] = {
    {"messages",
     FieldKind::kHonoured,
     schema::kChatMessages,
     read_messages_field,
     "",
     /*is_required=*/true},
    {"max_tokens", FieldKind::kHonoured, schema::kNumTokens, read_max_tokens},
    {"max_completion_tokens", FieldKind::kHonoured, schema::kNumTokens, read_max_tokens},
    {"logprobs", FieldKind::kHonoured, schema::kFlag, read_logprobs},
    {"top_logprobs", FieldKind::kHonoured, schema::kLogprobs, read_top_logprobs},
    {"tools", FieldKind::kHonoured, schema::kChatTools, read_tools},
    {"tool_choice", FieldKind::kHonoured, schema::kToolChoice, read_tool_choice},
    {"parallel_tool_calls", FieldKind::kHonoured, schema::kFlag, read_parallel_tool_calls},
    {"reasoning_effort", FieldKind::kHonoured, schema::kEffort, read_reasoning_effort},
    {"modalities",
     FieldKind::kRefused,
     R"({"type":"array","items":{"const":"text"}})",
     read_modalities,
     kTextOnly},
    {"audio", FieldKind::kRefused, schema::kObject, nullptr, kTextOnly},
    {"web_search_options",
     FieldKind::kRefused,
     schema::kObject,
     nullptr,
     "this server reaches no other; offer a tool for it"},
    {"moderation", FieldKind::kRefused, schema::kAny, nullptr, "nothing is moderated here"},
    {"functions", FieldKind::kRefused, schema::kObjects, nullptr, "use tools"},
    {"function_call", FieldKind::kRefused, schema::kAny, nullptr, "use tool_choice"},
    {"suffix", FieldKind::kRefused, schema::kText, nullptr, "a chat has no text after its answer"},
    {"echo",
     FieldKind::kRefused,
     schema::kOnlyFalse,
     read_flag_off,
     "a chat is not repeated; use /v1/completions"},
    {"prompt_logprobs", FieldKind::kRefused, schema::kWhole, nullptr, "use /v1/completions"},
    {"add_special_tokens",
     FieldKind::kRefused,
     schema::kOnlyFalse,
     read_flag_off,
     "the chat template alone writes special tokens"},
};

}  // namespace

FieldBlock chat_fields() { return kChat; }

Status finish_chat_completion(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  RETURN_IF_ERROR(finish_chat(draft));
  draft.param = "top_logprobs";
  if (draft.top_logprobs.value_or(0) > 0 && !draft.has_logprobs) {
    return invalid("TRI-HTTP-032",
                   "top_logprobs is {}, but logprobs is not true; set it",
                   *draft.top_logprobs);
  }
  draft.param.clear();
  if (draft.has_logprobs) {
    draft.sampling.logprobs = draft.top_logprobs.value_or(0);
    draft.answer.has_logprobs = true;
  }
  ask_chat(draft, headers, call);
  call.writer = make_chat_writer(draft.answer);
  return ok_status();
}

}  // namespace trireme::gateway

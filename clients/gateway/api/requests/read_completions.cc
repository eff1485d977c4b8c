// POST /v1/completions: fields and questions, one for each prompt.
// tidy: table
#include "base/text.h"
#include "clients/gateway/api/answers/writers.h"
#include "clients/gateway/api/requests/field_values.h"
#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/shared_fields.h"

namespace trireme::gateway {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxPrompts = 64;
constexpr size_t kMaxPromptTokens = 1 << 24;
constexpr int32_t kDefaultMaxTokens = 16;
constexpr int64_t kMaxRepeatedBytes = 256 << 20;

Status read_ids_prompt(const FieldValue& field, JsonValue list, RequestDraft& draft) {
  std::vector<TokenId> ids;
  RETURN_IF_ERROR(read_token_ids({field.name, list}, kMaxPromptTokens, ids));
  draft.prompts.emplace_back(std::move(ids));
  return ok_status();
}

Status read_one_prompt(const FieldValue& field, JsonValue element, RequestDraft& draft) {
  if (element.is(Kind::kString)) {
    draft.prompts.emplace_back(element.string());
    return ok_status();
  }
  if (element.is(Kind::kArray)) return read_ids_prompt(field, element, draft);
  return wrong_value(field.name, element, "a string, strings, token ids or lists of token ids");
}

// A text, texts, token ids, or lists of token ids. A list whose first element is a number is one
// prompt.
Status read_prompt(const FieldValue& field, RequestDraft& draft) {
  if (!field.value.is(Kind::kArray)) return read_one_prompt(field, field.value, draft);
  const std::optional<JsonValue> first = field.value.first();
  if (!first) {
    return invalid("TRI-HTTP-022", "the field {} has no prompt; add one", field.name);
  }
  if (first->is(Kind::kNumber)) return read_ids_prompt(field, field.value, draft);
  RETURN_IF_ERROR(check_array(field, kMaxPrompts));
  return field.value.each(
      [&](JsonValue element) { return read_one_prompt(field, element, draft); });
}

Status read_logprobs(const FieldValue& field, RequestDraft& draft) {
  return read_number(field, "logprobs", draft.sampling.logprobs);
}

Status read_prompt_logprobs(const FieldValue& field, RequestDraft& draft) {
  RETURN_IF_ERROR(read_number(field, "prompt_logprobs", draft.sampling.prompt_logprobs));
  draft.answer.prompt_logprobs = draft.sampling.prompt_logprobs;
  return ok_status();
}

Status read_echo(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.sampling.echo);
}

Status read_suffix(const FieldValue& field, RequestDraft& /*draft*/) {
  if (field.value.text() == "\"\"") return ok_status();
  return refused(field.name, field.note);
}

constexpr Field kCompletions[] = {
    {"prompt",
     FieldKind::kHonoured,
     R"({"anyOf":[{"type":"string"},{"type":"array","minItems":1,"maxItems":64,)"
     R"("items":{"type":"string"}},{"type":"array","minItems":1,"items":{"type":"integer"}},)"
     R"({"type":"array","minItems":1,"maxItems":64,)"
     R"("items":{"type":"array","items":{"type":"integer"}}}]})",
     read_prompt,
     "",
     /*is_required=*/true},
    {"max_tokens",
     FieldKind::kHonoured,
     R"({"type":"integer","minimum":0,"maximum":16777216,"default":16})",
     read_max_tokens_or_none},
    {"logprobs", FieldKind::kHonoured, schema::kLogprobs, read_logprobs},
    {"echo", FieldKind::kHonoured, schema::kFlag, read_echo},
    {"prompt_logprobs", FieldKind::kHonoured, schema::kLogprobs, read_prompt_logprobs},
    {"add_special_tokens", FieldKind::kHonoured, schema::kFlag, read_add_special_tokens},
    {"suffix",
     FieldKind::kRefused,
     R"({"const":""})",
     read_suffix,
     "text cannot be inserted before a suffix"},
};

// About the bytes of an answer that are its prompts, which each choice repeats. A text has about 4
// bytes per token, and a log-probability about 64 with its token and its key.
int64_t repeated_bytes(const RequestDraft& draft) {
  constexpr int64_t kTokenBytes = 4;
  constexpr int64_t kLogprobBytes = 64;
  const auto& top = draft.sampling.prompt_logprobs;
  if (!draft.sampling.echo && !top) return 0;
  const int64_t token_bytes = kTokenBytes + (top ? kLogprobBytes * (1 + *top) : 0);
  int64_t num_tokens = 0;
  for (const Prompt& prompt : draft.prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    num_tokens += text != nullptr ? std::ssize(*text) / kTokenBytes
                                  : std::ssize(std::get<std::vector<TokenId>>(prompt));
  }
  return num_tokens * token_bytes * draft.answer.num_choices;
}

Status check_repeated_bytes(RequestDraft& draft) {
  const int64_t bytes = repeated_bytes(draft);
  if (bytes <= kMaxRepeatedBytes) return ok_status();
  draft.param = draft.sampling.echo ? "echo" : "prompt_logprobs";
  return invalid("TRI-HTTP-033",
                 "the prompts would take about {} of the answer, which repeats them in each of {} "
                 "choices, allowed are {}; ask for fewer choices, prompts or log-probabilities",
                 format_bytes(static_cast<double>(bytes)),
                 draft.answer.num_choices,
                 format_bytes(static_cast<double>(kMaxRepeatedBytes)));
}

}  // namespace

FieldBlock completion_fields() { return kCompletions; }

// With echo, `logprobs` lists the prompt's tokens too.
Status finish_completion(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  door::Sampling& sampling = draft.sampling;
  if (!sampling.max_tokens) sampling.max_tokens = kDefaultMaxTokens;
  draft.answer.has_logprobs = sampling.logprobs.has_value();
  draft.answer.echoes = sampling.echo;
  if (sampling.echo && sampling.logprobs && !sampling.prompt_logprobs) {
    sampling.prompt_logprobs = sampling.logprobs;
  }
  RETURN_IF_ERROR(check_repeated_bytes(draft));
  draft.answer.num_prompts = static_cast<int32_t>(draft.prompts.size());
  auto& questions = call.questions.emplace<std::vector<door::Submit>>();
  for (size_t i = 0; i < draft.prompts.size(); ++i) {
    door::Submit submit = submit_of(draft, headers, call, i, draft.prompts.size());
    submit.add_special_tokens = draft.add_special_tokens.value_or(true);
    std::visit([&](auto& prompt) { submit.prompt = std::move(prompt); }, draft.prompts[i]);
    questions.push_back(std::move(submit));
  }
  call.writer = make_completion_writer(draft.answer);
  return ok_status();
}

}  // namespace trireme::gateway

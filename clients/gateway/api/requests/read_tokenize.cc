// POST /tokenize and /detokenize: fields, questions and answers.
// tidy: table
#include "clients/gateway/api/answers/shared_forms.h"
#include "clients/gateway/api/json_writer.h"
#include "clients/gateway/api/requests/chat_prompt.h"
#include "clients/gateway/api/requests/field_values.h"
#include "clients/gateway/api/requests/readers.h"
#include "clients/gateway/api/requests/shared_fields.h"

namespace trireme::gateway {
namespace {

constexpr size_t kMaxTokens = 1 << 18;  // of a frame to the door, with room to spare

Status read_prompt(const FieldValue& field, RequestDraft& draft) {
  std::string text;
  RETURN_IF_ERROR(read_text(field, text));
  draft.prompts.emplace_back(std::move(text));
  return ok_status();
}

Status read_token_texts(const FieldValue& field, RequestDraft& draft) {
  return read_flag(field, draft.wants_token_texts);
}

Status read_tokens(const FieldValue& field, RequestDraft& draft) {
  return read_token_ids(field, kMaxTokens, draft.tokens);
}

constexpr Field kTokenize[] = {
    {"prompt", FieldKind::kHonoured, schema::kText, read_prompt},
    {"messages", FieldKind::kHonoured, schema::kChatMessages, read_messages_field},
    {"tools", FieldKind::kHonoured, schema::kChatTools, read_tools},
    {"reasoning_effort", FieldKind::kHonoured, schema::kEffort, read_reasoning_effort},
    {"add_special_tokens", FieldKind::kHonoured, schema::kFlag, read_add_special_tokens},
    {"return_token_strs", FieldKind::kHonoured, schema::kFlag, read_token_texts},
};

constexpr Field kDetokenize[] = {
    {"tokens", FieldKind::kHonoured, schema::kIds, read_tokens, "", /*is_required=*/true},
    {"skip_special_tokens", FieldKind::kHonoured, schema::kFlag, read_skip_special_tokens},
};

}  // namespace

FieldBlock tokenize_fields() { return kTokenize; }
FieldBlock detokenize_fields() { return kDetokenize; }

Status finish_tokenize(RequestDraft& draft, ApiCall& call) {
  const bool has_messages = !draft.chat.messages_json.empty();
  if (draft.prompts.empty() != has_messages) {
    draft.param = has_messages ? "messages" : "prompt";
    return invalid("TRI-HTTP-022", "a request has either prompt or messages; send one of them");
  }
  auto& question = call.questions.emplace<door::Tokenize>();
  question.want_pieces = draft.wants_token_texts;
  if (has_messages) {
    RETURN_IF_ERROR(finish_chat(draft));
    question.what = std::move(draft.chat);
    question.add_special_tokens = draft.add_special_tokens.value_or(false);
  } else {
    question.what = std::move(std::get<std::string>(draft.prompts.front()));
    question.add_special_tokens = draft.add_special_tokens.value_or(true);
  }
  return ok_status();
}

Status finish_detokenize(RequestDraft& draft, ApiCall& call) {
  auto& question = call.questions.emplace<door::Detokenize>();
  question.ids = std::move(draft.tokens);
  question.skip_special_tokens = draft.sampling.skip_special_tokens.value_or(false);
  return ok_status();
}

std::string write_tokenized(Api api, const door::Tokenized& answer, const ApiCall& call) {
  std::string out;
  JsonWriter json(out);
  json.open_object();
  if (api == Api::kCountTokens) {
    json.member("input_tokens", answer.ids.size()).close_object();
    return out;
  }
  json.member("count", answer.ids.size()).member("max_model_len", call.model.max_model_len);
  write_ids("tokens", answer.ids, json);
  const auto* question = std::get_if<door::Tokenize>(&call.questions);
  if (question != nullptr && question->want_pieces) {
    json.key("token_strs").open_array();
    for (const std::string& piece : answer.pieces) json.string(piece);
    json.close_array();
  }
  json.close_object();
  return out;
}

std::string write_detokenized(const door::Detokenized& answer) {
  std::string out;
  JsonWriter(out).open_object().member("prompt", answer.text).close_object();
  return out;
}

}  // namespace trireme::gateway

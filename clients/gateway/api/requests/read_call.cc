#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"
#include "clients/gateway/api/answers/saved_form.h"
#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api/requests/readers.h"
#include "proto/frame.h"

namespace trireme::gateway {
namespace {

constexpr const char* kRemedy = "send a JSON object of at most 64 levels";

// The names of at most ten models.
std::string names_of(const std::vector<door::ModelInfo>& models) {
  std::vector<std::string> names;
  for (const door::ModelInfo& model : models) {
    if (names.size() == 10) {
      names.emplace_back("...");
      break;
    }
    names.push_back(model.name);
  }
  return join(names);
}

// The model that a request names; without a name, the only one that is served.
StatusOr<door::ModelInfo> find_model(RequestDraft& draft) {
  const ApiContext& context = *draft.context;
  if (context.models.empty()) {
    return unavailable("TRI-HTTP-027", "no model is loaded yet; try again when /ready says 200");
  }
  const auto found = std::ranges::find(context.models, draft.model, &door::ModelInfo::name);
  if (found != context.models.end()) return *found;
  draft.param = "model";
  const bool takes_first = context.accept_any_model || draft.model.empty();
  if (takes_first && (context.models.size() == 1 || !draft.model.empty())) {
    return context.models.front();
  }
  if (draft.model.empty()) {
    return invalid(
        "TRI-HTTP-022", "the field model is missing; add one of {}", names_of(context.models));
  }
  return not_found("TRI-HTTP-026",
                   "no model has the name {}, served are {}; use one of them",
                   utf8_head(draft.model, 128),
                   names_of(context.models));
}

Status check_best_of(RequestDraft& draft) {
  draft.param = "best_of";
  if (draft.best_of && *draft.best_of != draft.sampling.n.value_or(1)) {
    return refused("best_of", "only the value of n is possible; leave it out");
  }
  draft.param.clear();
  return ok_status();
}

Status finish(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  switch (draft.api) {
    case Api::kChatCompletions:
      return finish_chat_completion(draft, headers, call);
    case Api::kCompletions:
      return finish_completion(draft, headers, call);
    case Api::kResponses:
      return finish_response(draft, headers, call);
    case Api::kMessages:
      return finish_message(draft, headers, call);
    case Api::kCountTokens:
      return finish_count_tokens(draft, call);
    case Api::kTokenize:
      return finish_tokenize(draft, call);
    case Api::kDetokenize:
      break;
  }
  return finish_detokenize(draft, call);
}

// The answer will be read again, perhaps from another gateway: its form goes with the request.
Status make_resumable(RequestDraft& draft, ApiCall& call) {
  draft.param = "stream";
  if (!draft.answer.streamed) {
    return invalid("TRI-HTTP-035",
                   "Trireme-Resume is for streams, and stream is not true; set it, or send an "
                   "Idempotency-Key, with which a repeated request gets the whole answer");
  }
  draft.param = "prompt_logprobs";
  if (draft.sampling.prompt_logprobs) {
    return invalid("TRI-HTTP-035",
                   "the log-probabilities of a prompt are not kept, so that a stream with them "
                   "cannot be resumed; leave them or Trireme-Resume out");
  }
  draft.param = "n";
  const int64_t choices = int64_t{draft.answer.num_prompts} * draft.answer.num_choices;
  if (choices > kMaxResumableChoices) {
    return invalid("TRI-HTTP-035",
                   "the stream has {} choices of all prompts, with Trireme-Resume at most {}; "
                   "send several requests",
                   choices,
                   kMaxResumableChoices);
  }
  draft.param = "tools";
  call.saved_form = save_form({draft.api, draft.answer});
  if (std::ssize(call.saved_form) > kMaxClientStateBytes) {
    return invalid("TRI-HTTP-035",
                   "the answer repeats instructions and tools, {} bytes in all, with "
                   "Trireme-Resume at most {}; shorten them",
                   call.saved_form.size(),
                   kMaxClientStateBytes);
  }
  draft.param.clear();
  for (door::Submit& submit : std::get<std::vector<door::Submit>>(call.questions)) {
    submit.client_state = call.saved_form;
    submit.on_disconnect = door::OnDisconnect::kContinue;
  }
  return ok_status();
}

Status read_into(std::string_view body,
                 const ApiHeaders& headers,
                 RequestDraft& draft,
                 ApiCall& call) {
  ASSIGN_OR_RETURN(
      const JsonValue root,
      JsonValue::parse(body, "TRI-HTTP-020", "the body", JsonNumbers::kStandard, kRemedy));
  if (!root.is(JsonValue::Kind::kObject)) {
    return invalid("TRI-HTTP-021", "the body is JSON, but no object; {}", kRemedy);
  }
  RETURN_IF_ERROR(read_fields(root, draft));
  RETURN_IF_ERROR(check_best_of(draft));
  ASSIGN_OR_RETURN(call.model, find_model(draft));
  draft.param.clear();
  draft.answer.model = call.model.name;
  draft.answer.created_s = draft.context->now_s;
  draft.answer.num_choices = draft.sampling.n.value_or(1);
  call.streamed = draft.answer.streamed;
  RETURN_IF_ERROR(finish(draft, headers, call));
  if (headers.resumable) RETURN_IF_ERROR(make_resumable(draft, call));
  call.warnings = std::move(draft.warnings);
  return ok_status();
}

}  // namespace

door::Submit submit_of(const RequestDraft& draft,
                       const ApiHeaders& headers,
                       const ApiCall& call,
                       size_t index,
                       size_t count) {
  door::Submit submit;
  submit.model = call.model.name;
  submit.sampling = draft.sampling;
  // The whole length of the model: the door's own default is shorter.
  if (!submit.sampling.max_tokens) {
    const int32_t longest = call.model.max_model_len;
    submit.sampling.max_tokens = longest > 0 ? longest : 1 << 20;
  }
  submit.idempotency_key = headers.idempotency_key;
  if (count > 1 && !submit.idempotency_key.empty()) {
    submit.idempotency_key += "#" + std::to_string(index);
  }
  submit.traceparent = headers.traceparent;
  submit.principal = headers.principal;
  submit.share = headers.client;
  submit.client_request_id =
      headers.client_request_id.empty() ? draft.request_id : headers.client_request_id;
  submit.deadline_ms = headers.timeout_ms.value_or(0);
  submit.on_disconnect =
      headers.idempotency_key.empty() ? door::OnDisconnect::kCancel : door::OnDisconnect::kContinue;
  submit.cache_salt = draft.cache_salt;
  submit.token_bytes = draft.answer.has_logprobs || draft.answer.prompt_logprobs.has_value();
  submit.want_prompt_ids = draft.answer.returns_token_ids;
  return submit;
}

void ask_chat(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call) {
  door::Submit submit = submit_of(draft, headers, call, 0, 1);
  submit.prompt = std::move(draft.chat);
  call.questions.emplace<std::vector<door::Submit>>().push_back(std::move(submit));
}

std::variant<ApiCall, ApiError> read_call(Api api,
                                          std::string_view body,
                                          const ApiHeaders& headers,
                                          const ApiContext& context) {
  RequestDraft draft;
  draft.api = api;
  draft.context = &context;
  ApiCall call;
  const Status status = read_into(body, headers, draft, call);
  if (status.ok()) return call;
  ApiError error = from_status(status);
  error.param = draft.param;
  return error;
}

}  // namespace trireme::gateway

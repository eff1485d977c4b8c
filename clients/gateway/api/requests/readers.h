// From the body of a request to the questions for the door, one reader per API: its own fields, and
// the step after all fields are read. Pure functions.
#pragma once

#include "base/status.h"
#include "clients/gateway/api/api_call.h"
#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {

FieldBlock chat_fields();
FieldBlock completion_fields();
FieldBlock response_fields();
FieldBlock message_prompt_fields();  // of /v1/messages and its count_tokens
FieldBlock message_fields();
FieldBlock tokenize_fields();
FieldBlock detokenize_fields();

// Fills call.questions and call.writer from a draft whose fields are read and whose model is known.
Status finish_chat_completion(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call);
Status finish_completion(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call);
Status finish_response(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call);
Status finish_message(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call);
Status finish_count_tokens(RequestDraft& draft, ApiCall& call);
Status finish_tokenize(RequestDraft& draft, ApiCall& call);
Status finish_detokenize(RequestDraft& draft, ApiCall& call);

// The Submit of prompt `index` of `count`, without its prompt. It moves nothing out of the draft.
door::Submit submit_of(const RequestDraft& draft,
                       const ApiHeaders& headers,
                       const ApiCall& call,
                       size_t index,
                       size_t count);
// The one question of a chat, which is moved out of the draft.
void ask_chat(RequestDraft& draft, const ApiHeaders& headers, ApiCall& call);

}  // namespace trireme::gateway

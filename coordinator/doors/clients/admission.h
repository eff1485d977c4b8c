// Admission: checks a Submit and converts it to the Engine's SubmitRequest. Pure functions of the
// message and the rules. Refusals are TRI-REQ-08x and 09x, or come from validate() in
// model/sampling_params.h. The Engine relies on these checks and does not repeat them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/engine/submit_request.h"
#include "proto/client_messages.h"

namespace trireme {

struct AdmissionRules {
  std::string model_name;
  int64_t vocabulary_size = 0;
  int32_t max_model_len = 0;
  int32_t num_layers = 0;
  bool has_tokenizer = false;
  std::string no_tokenizer;  // the reason
  Status chat;               // ok, or why chats are refused: TRI-CHAT-001, -002
  bool allow_probes = false;
  SamplingParams sampling_defaults;
};

constexpr int kMaxProbes = 1 << 20;

// Checks all but the tokens of a text or chat. A prompt of token ids is checked and moved out of
// `submit`; a text or chat stays there for the tokenizer, and check_prompt() follows it.
StatusOr<SubmitRequest> admit(door::Submit& submit, const AdmissionRules& rules);

// TRI-REQ-086: the model has no tokenizer. TRI-CHAT-001, -002: no template that works.
Status takes_text(const AdmissionRules& rules);
Status takes_chat(const AdmissionRules& rules);

// Messages of plain text as a chat whose answer is plain text.
ChatRequest chat_of(const door::Messages& messages);

// TRI-REQ-087.
Status check_ids(const std::vector<TokenId>& ids, int64_t vocabulary_size);

// TRI-REQ-088: no tokens. TRI-REQ-089: longer than the model takes; a request that generates leaves
// one token for the answer, a score or probe may fill the model. TRI-REQ-087: an id outside the
// vocabulary. TRI-REQ-092: a probe outside the prompt.
Status check_prompt(const SubmitRequest& request, const AdmissionRules& rules);
// An answer ends at the model's length at the latest: no more is scheduled or reserved for it.
void clamp_length(SubmitRequest& request, const AdmissionRules& rules);

}  // namespace trireme

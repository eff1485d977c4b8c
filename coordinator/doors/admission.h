// Admission: checks a Submit and converts it to the Engine's SubmitRequest. Pure functions of the
// message and the rules. Refusals are TRI-REQ-08x and 09x, or come from validate() in
// model/sampling_params.h. The Engine relies on these checks and does not repeat them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/engine/events.h"
#include "proto/client_messages.h"

namespace trireme {

struct AdmissionRules {
  std::string model_name;
  int64_t vocabulary_size = 0;
  int32_t max_model_len = 0;
  int32_t num_layers = 0;
  bool has_tokenizer = false;
  std::string no_tokenizer;  // the reason
  bool allow_probes = false;
  SamplingParams sampling_defaults;
};

constexpr int kMaxProbes = 1 << 20;

// Checks all but a text's tokens. A prompt of token ids is checked and moved out of `submit`; a
// text stays there for the tokenizer, and check_prompt() follows it.
StatusOr<SubmitRequest> admit(door::Submit& submit, const AdmissionRules& rules);

// TRI-REQ-088: no tokens. TRI-REQ-089: longer than the model takes; a request that generates leaves
// one token for the answer, a score or probe may fill the model. TRI-REQ-087: an id outside the
// vocabulary. TRI-REQ-092: a probe outside the prompt.
Status check_prompt(const SubmitRequest& request, const AdmissionRules& rules);

}  // namespace trireme

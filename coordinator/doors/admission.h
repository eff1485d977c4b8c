// Whether a Submit may pass the front door, and what of it the Engine gets to see. Pure functions
// of the message and the rules. Every refusal has an id: TRI-REQ-08x, TRI-REQ-09x, or
// validate()'s of model/sampling_params.h.
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
  bool allow_probes = false;
  SamplingParams sampling_defaults;
};

constexpr int kMaxProbes = 1 << 20;

// Everything but the prompt's tokens; a prompt of ids is checked and moved out of `submit`, a text
// stays there to be encoded.
StatusOr<SubmitRequest> admit(door::Submit& submit, const AdmissionRules& rules);

// The prompt alone: not empty, within the model's length and vocabulary.
Status check_prompt(const SubmitRequest& request, const AdmissionRules& rules);

}  // namespace trireme

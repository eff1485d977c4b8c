// Step plans for tests, made without a coordinator: every rank of a test makes the same plans. A
// request runs its prompt in chunks, then draws `new_tokens` tokens, one per step.
#pragma once

#include <cstdint>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

struct ScriptedRequest {
  std::vector<TokenId> prompt;
  int32_t new_tokens = 1;
  int32_t chunk = 512;
  int32_t start_step = 0;   // relative to the script's first step
  SamplingParams sampling;  // greedy unless set
  uint64_t seed = 0;
  int32_t num_emitted = 0;       // tail of `prompt` that was drawn before (a resumed request)
  int32_t shares_pages_of = -1;  // request whose full prompt pages are this one's cached prefix
  int32_t cached_tokens = 0;     // of that prefix; whole pages
  std::vector<int32_t> logit_positions;   // probed
  std::vector<int32_t> hidden_positions;  // probed at every layer
  bool probe_draws = false;               // probe the logits of every drawn token
  std::vector<ScoreRequest> scores;       // slot is filled in

  ScriptedRequest() { sampling.temperature = 0; }
};

struct ScriptLimits {
  int32_t page_tokens = 32;
  int32_t max_batched_tokens = 512;  // of a step
  int32_t num_layers = 0;            // for hidden_positions
  int32_t cohorts = 1;               // requests i with equal i % cohorts share plans
};

// Slot i is request i. Steps are numbered from `first_step`; all slots are closed by the last plan.
std::vector<StepPlan> plan_requests(const std::vector<ScriptedRequest>& requests,
                                    const ScriptLimits& limits,
                                    int64_t first_step);

}  // namespace trireme

// The expected.safetensors of a model folder: prompts with their reference logits, hidden states
// and greedy continuations (tests/data/golden/README.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/token.h"

namespace trireme {

struct GoldenSequence {
  std::string name;
  std::vector<TokenId> input_ids;
  std::vector<int32_t> positions;
  std::vector<float> logits;  // [positions, vocabulary]
  std::vector<TokenId> greedy;
  std::vector<float> greedy_margin;
  std::vector<float> hidden_states;  // [layers + 1, tokens, hidden], or empty
  float bf16_max_abs = 0;            // 0: not measured
};

StatusOr<std::vector<GoldenSequence>> load_golden(const std::string& path);

}  // namespace trireme

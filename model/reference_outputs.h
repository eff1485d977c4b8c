// A file of reference outputs of a model (expected.safetensors): prompts with the logits, hidden
// states and greedy continuation that another implementation computed, and how far from them an
// arithmetic may be. Pure values; nothing here runs a model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/token.h"

namespace trireme {

// The table of tolerances for whole models (docs/numerics.md).
constexpr float kFloat32Tolerance = 1e-4f;   // of the largest |logit|
constexpr float kFloat16Tolerance = 0.01f;   // of the largest |logit|
constexpr float kBFloat16Tolerance = 0.06f;  // of the largest |logit|, without a reference error
constexpr float kBFloat16Factor = 1.5f;      // times the reference's own bf16 error, where known

struct ReferenceSequence {
  std::string name;  // before the first dot of its tensors' names; "" if they have none
  std::vector<TokenId> input_ids;
  std::vector<int32_t> positions;  // of the rows of `logits`; ascending or not
  int64_t vocabulary = 0;
  std::vector<float> logits;  // [positions, vocabulary]
  std::vector<TokenId> greedy;
  std::vector<float> greedy_margin;  // first minus second logit at each; as long, or empty
  int64_t hidden_rows = 0;           // layers + 1, or 0
  int64_t hidden_size = 0;
  std::vector<float> hidden_states;  // [layers + 1, tokens, hidden], or empty
  float bf16_max_abs = 0;            // the reference's own error in bf16; 0: not measured

  float largest_logit() const;
  // What `verify` accepts when activations are `compute`.
  float tolerance(DType compute) const;
};

// The order of names. TRI-VERIFY-001: no sequence, or a tensor of the wrong type, shape or length
// (names it); TRI-LOAD-002..004: no file of that format.
StatusOr<std::vector<ReferenceSequence>> read_reference_outputs(const std::string& path);

// The first row at which two continuations differ, if one does.
std::optional<size_t> first_difference(const std::vector<TokenId>& expected,
                                       const std::vector<TokenId>& got);

}  // namespace trireme

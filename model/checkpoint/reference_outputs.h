// Reference outputs of a model (expected.safetensors): prompts with the logits, hidden states and
// greedy continuations that another implementation computed, and the tolerance of each compute
// dtype. Plain values, read once; nothing here runs a model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/token.h"

namespace trireme {

// The table of tolerances for whole models (docs/numerics.md).
constexpr float kFloat32Tolerance = 1e-4f;   // relative to the largest |logit|
constexpr float kFloat16Tolerance = 0.01f;   // relative to the largest |logit|
constexpr float kBFloat16Tolerance = 0.06f;  // the same, if bf16_max_abs is not measured
constexpr float kBFloat16Factor = 1.5f;      // of bf16_max_abs, where it is measured

struct ReferenceSequence {
  std::string name;  // prefix of its tensor names before the first dot; "" without a dot
  std::vector<TokenId> input_ids;
  std::vector<int32_t> positions;  // of the rows of `logits`, in any order
  int64_t vocabulary = 0;
  std::vector<float> logits;  // [positions, vocabulary]
  std::vector<TokenId> greedy;
  std::vector<float> greedy_margin;  // per id of `greedy`: first minus second logit; or empty
  int64_t hidden_rows = 0;           // layers + 1, or 0
  int64_t hidden_size = 0;
  std::vector<float> hidden_states;  // [layers + 1, tokens, hidden], or empty
  float bf16_max_abs = 0;            // error of the reference itself in bf16; 0: not measured

  float largest_logit() const;
  // The maximum |error| of a logit that `verify` accepts with activations of type `compute`.
  float tolerance(DType compute) const;
};

// The sequences in the order of their names. TRI-VERIFY-001: no sequence, or a tensor of the wrong
// type, shape or length (names it); TRI-LOAD-002..004: not a safetensors file.
StatusOr<std::vector<ReferenceSequence>> read_reference_outputs(const std::string& path);

// The index of the first id in which two continuations differ; empty if they are equal.
std::optional<size_t> first_difference(const std::vector<TokenId>& expected,
                                       const std::vector<TokenId>& got);

}  // namespace trireme

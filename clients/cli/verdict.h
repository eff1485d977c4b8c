// Compares a cluster's logits, hidden states and greedy tokens with reference outputs for `verify`.
// Pure functions over values.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/answers.h"
#include "model/checkpoint/reference_outputs.h"

namespace trireme {

struct LogitDifference {
  int32_t position = 0;
  int64_t token_id = 0;
  float expected = 0;
  float got = 0;
};

struct GreedyDifference {
  size_t index = 0;  // in the continuation
  TokenId expected = 0;
  TokenId got = 0;
  float margin = 0;      // the reference's largest logit minus the second, at this index
  bool excused = false;  // margin is at most twice the tolerance
};

struct LayerDifference {
  int64_t layer = 0;  // 0: the embedding's output
  int32_t position = 0;
  float max_abs_error = 0;
  float tolerance = 0;
};

struct SequenceVerdict {
  std::string name;
  size_t num_tokens = 0;
  size_t num_positions = 0;
  float max_abs_error = 0;  // infinite: a value is missing or not finite
  float max_abs_logit = 0;
  float tolerance = 0;
  size_t greedy_compared = 0;
  size_t greedy_equal = 0;
  std::optional<LogitDifference> worst_logit;  // set if the error exceeds the tolerance
  std::optional<GreedyDifference> greedy;
  std::optional<LayerDifference> layer;  // the first that differs; only if hidden states were read

  bool passed() const {
    return !worst_logit && (!greedy || greedy->excused) && max_abs_error <= tolerance;
  }
  double strain() const;  // error / tolerance
};

// Removes greedy tokens beyond a sequence length of `longest`, which a cluster cannot generate.
// Returns the number removed.
size_t drop_beyond(std::vector<ReferenceSequence>& sequences, int64_t longest);

// `rows`: probe values in pieces, in any order; `greedy`: ids of the cluster's own continuation.
// Tolerances: docs/numerics.md.
SequenceVerdict judge(const ReferenceSequence& reference,
                      const std::vector<door::ProbeValues>& rows,
                      const std::vector<TokenId>& greedy,
                      DType compute);

// JSON object of `verify --json`, without the fields tp, pp, backend and dtype.
nlohmann::ordered_json verdict_json(const std::vector<SequenceVerdict>& verdicts);

// For display: "position 12, token id 7: expected 1.5, got 1.75"; "" if the sequence passed.
std::string describe_difference(const SequenceVerdict& verdict);

}  // namespace trireme

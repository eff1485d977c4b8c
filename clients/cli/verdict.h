// What `verify` finds: a cluster's logits, hidden states and greedy tokens against reference
// outputs. Pure values in, a verdict out.
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
  float margin = 0;  // of the reference there
  bool excused = false;
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
  float max_abs_error = 0;  // infinite: a value is missing or no number
  float max_abs_logit = 0;
  float tolerance = 0;
  size_t greedy_compared = 0;
  size_t greedy_equal = 0;
  std::optional<LogitDifference> worst_logit;  // where the error is over the tolerance
  std::optional<GreedyDifference> greedy;
  std::optional<LayerDifference> layer;  // the first that differs; only if hidden states were read

  bool passed() const {
    return !worst_logit && (!greedy || greedy->excused) && max_abs_error <= tolerance;
  }
  double strain() const;  // error / tolerance
};

// Drops greedy tokens that a sequence of at most `longest` tokens has no room for: an answer is cut
// there, and says nothing of the model. Returns how many.
size_t drop_beyond(std::vector<ReferenceSequence>& sequences, int64_t longest);

// `rows` are what the probes brought, pieces in any order; `greedy` the free-running continuation.
SequenceVerdict judge(const ReferenceSequence& reference,
                      const std::vector<door::ProbeValues>& rows,
                      const std::vector<TokenId>& greedy,
                      DType compute);

// The object that `verify --json` prints, without tp and pp.
nlohmann::ordered_json verdict_json(const std::vector<SequenceVerdict>& verdicts);

// "position 12, token id 7: expected 1.5, got 1.75", for a person; "" if it passed.
std::string describe_difference(const SequenceVerdict& verdict);

}  // namespace trireme

// A golden model's reference sequences as one script, and what its outcome must be: logits within
// the table's tolerance, greedy tokens equal up to the first near tie of the reference.
#pragma once

#include <string>
#include <vector>

#include "model/checkpoint/model_source.h"
#include "model/checkpoint/reference_outputs.h"
#include "tests/cluster/outcome.h"
#include "tests/cluster/scripted_plans.h"

namespace trireme {

class GoldenCase {
 public:
  // `dir`: a folder with a checkpoint and its expected.safetensors. Failing to read is a failure of
  // the test.
  GoldenCase(const std::string& dir, DType dtype);

  // One request per sequence; slot i is sequence i.
  std::vector<ScriptedRequest> requests() const;
  // Logits and greedy tokens.
  void check(const Outcome& outcome) const;
  // The hidden states of every layer, where the reference has them; float32 only.
  void check_hidden(const ModelConfig& config, const Outcome& outcome) const;

 private:
  void check_logits(const ReferenceSequence& sequence, SlotId slot, const Outcome& outcome) const;
  void check_greedy(const ReferenceSequence& sequence, SlotId slot, const Outcome& outcome) const;
  void check_hidden_of(const ReferenceSequence& sequence,
                       SlotId slot,
                       const ModelConfig& config,
                       const Outcome& outcome) const;

  DType dtype_;
  std::vector<ReferenceSequence> sequences_;
};

// The golden models, as folders below the source tree.
std::vector<std::string> golden_models();

}  // namespace trireme

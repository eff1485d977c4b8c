// The set of steps that a group captures as graphs at warm-up, and the choice of the captured step
// that a planned step runs under. A function of the announced buckets alone, so that all ranks
// choose alike. A value.
//
// A plan names the smallest buckets of tokens and sampled rows that hold it (model/step_buckets.h).
// Decodes sample every row: one graph per size. In mixed steps the two differ, and one graph per
// pair would be hundreds: there the sampled rows are padded to 64, whose head takes the time of
// reading its weights, or to 128, 256 or 512. Steps that no graph serves run uncaptured.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "model/step_plan.h"

namespace trireme {

class CapturedSteps {
 public:
  CapturedSteps() = default;  // none
  CapturedSteps(std::span<const int32_t> token_buckets, std::span<const int32_t> row_buckets);

  // In the order of capture.
  std::span<const StepKey> keys() const { return keys_; }
  // The captured step that serves a plan of this key, or the empty key.
  StepKey key_for(const GraphKey& named) const;

 private:
  std::vector<StepKey> keys_;
};

}  // namespace trireme

// Which steps a group records at warm-up, and under which of these a planned step runs. Follows
// from the announced buckets alone, so that all ranks say the same. A value.
//
// A plan names the smallest buckets of tokens and sampled rows that hold it (model/step_buckets.h).
// Decodes sample every row: one step a size. In mixed steps the two differ, and every pair would be
// some hundreds of graphs: there the sampled rows are padded to a pass of the head, whose time is
// that of reading its weights. Steps that are not among these run as they are.
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

  // In the order in which they are recorded.
  std::span<const StepKey> keys() const { return keys_; }
  // The recorded step that serves a plan of this key, or the empty key.
  StepKey key_for(const GraphKey& named) const;

 private:
  std::vector<StepKey> keys_;
};

}  // namespace trireme

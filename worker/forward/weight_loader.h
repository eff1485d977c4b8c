// Loads a rank's weights from the checkpoint to the device: reads only the bytes of its shard and
// packs each matrix once. Invariant: every expected tensor is read exactly once; a tied embedding
// and head on one stage share one weight.
#pragma once

#include <functional>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/checkpoint/checkpoint.h"
#include "model/shard_spec.h"
#include "worker/forward/model_weights.h"

namespace trireme {

// Called after each tensor with the bytes read so far and the total.
using LoadProgress = std::function<void(int64_t bytes_done, int64_t bytes_total)>;

// TRI-LOAD-...: from the checkpoint. TRI-MEM-001: from the backend.
StatusOr<ModelWeights> load_weights(const ModelConfig& config,
                                    Checkpoint& checkpoint,
                                    const ShardSpec& shard,
                                    Backend& backend,
                                    const LoadProgress& progress);

}  // namespace trireme

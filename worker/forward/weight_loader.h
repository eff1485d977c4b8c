// Brings a rank's weights from the checkpoint to the device: reads the bytes of its shard and no
// others, packs each matrix once. Every tensor that the rank expects is read exactly once; a tied
// embedding and head on one stage are one weight.
#pragma once

#include <functional>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"
#include "model/shard_spec.h"
#include "worker/forward/model_weights.h"

namespace trireme {

// Called after each tensor with the bytes read so far and in all.
using LoadProgress = std::function<void(int64_t bytes_done, int64_t bytes_total)>;

// TRI-LOAD-...: from the checkpoint. TRI-MEM-001: from the backend.
StatusOr<ModelWeights> load_weights(const ModelConfig& config,
                                    Checkpoint& checkpoint,
                                    const ShardSpec& shard,
                                    Backend& backend,
                                    const LoadProgress& progress);

}  // namespace trireme

// One rank's weights: packed matrices and fp32 vectors on the device. Immutable after loading.
#pragma once

#include <memory>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/weight.h"

namespace trireme {

struct LayerWeights {
  Vector attention_norm;
  std::unique_ptr<Weight> qkv;  // rows of q, then k, then v, of this rank's heads
  Vector qkv_bias;
  Vector q_norm;
  Vector k_norm;
  std::unique_ptr<Weight> output;  // [hidden, local heads * head_dim], in leaves
  Vector output_bias;
  Vector mlp_norm;
  std::unique_ptr<Weight> gate_up;
  Vector gate_up_bias;           // of gate, then of up
  std::unique_ptr<Weight> down;  // [hidden, local MLP columns], in leaves
  Vector down_bias;
};

struct ModelWeights {
  std::unique_ptr<Weight> embedding;  // ShardSpec's rows; on the first stage, or as tied head
  std::unique_ptr<Weight> own_head;   // untied, or this rank's rows of a whole tied embedding
  std::vector<LayerWeights> layers;   // of this stage
  Vector final_norm;
  std::vector<Buffer> vectors;  // memory of the Vectors above

  const Weight& head() const { return own_head ? *own_head : *embedding; }
};

}  // namespace trireme

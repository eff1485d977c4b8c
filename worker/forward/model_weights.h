// One rank's weights as the forward uses them: packed matrices and fp32 vectors on the device.
#pragma once

#include <memory>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/weight.h"

namespace trireme {

struct LayerWeights {
  Vector attention_norm;
  std::unique_ptr<Weight> qkv;  // q, k, v rows of this rank's heads, one below the other
  Vector qkv_bias;
  Vector q_norm;
  Vector k_norm;
  std::unique_ptr<Weight> output;  // [hidden, local heads * head_dim], in leaves
  Vector output_bias;
  Vector mlp_norm;
  std::unique_ptr<Weight> gate_up;
  Vector gate_up_bias;           // gate's, then up's
  std::unique_ptr<Weight> down;  // [hidden, local MLP columns], in leaves
  Vector down_bias;
};

struct ModelWeights {
  std::unique_ptr<Weight> embedding;  // ShardSpec's rows; first stage, or the tied head
  std::unique_ptr<Weight> own_head;   // untied, or the part of a whole tied embedding
  std::vector<LayerWeights> layers;   // this stage's
  Vector final_norm;
  std::vector<Buffer> vectors;  // what the Vectors above point into

  const Weight& head() const { return own_head ? *own_head : *embedding; }
};

}  // namespace trireme

// The config of a small decoder, for tests of partitioning and planning: no files, no weights.
#pragma once

#include "model/model_config.h"

namespace trireme {

// Heads of 16 elements, hidden size heads x 16, intermediate size 4 x hidden, full attention.
inline ModelConfig model_shape(int64_t layers,
                               int64_t heads,
                               int64_t kv_heads,
                               int64_t vocabulary = 320) {
  ModelConfig config;
  config.num_layers = layers;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = 16;
  config.hidden_size = heads * 16;
  config.intermediate_size = 4 * config.hidden_size;
  config.vocabulary_size = vocabulary;
  config.max_positions = 1024;
  config.layer_window.assign(layers, 0);
  return config;
}

// Small sizes; heads x head_dim is not the hidden size.
inline ModelConfig uneven_shape() {
  ModelConfig config;
  config.vocabulary_size = 11;
  config.hidden_size = 8;
  config.intermediate_size = 6;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 6;
  return config;
}

}  // namespace trireme

// Inner loops of the CPU backend, one implementation per instruction-set tier. Plain C-like types
// only: a tier's file is compiled with its own flags and must not instantiate inline functions that
// other files share, or the linker might keep its copy and an older processor would execute an
// illegal instruction.
#pragma once

#include <stdint.h>

namespace trireme {

constexpr int kPanelColumns = 32;  // output columns of a weight panel: two 512-bit vectors
constexpr int kPageTokens = 32;    // tokens of a KV page: two 512-bit vectors
constexpr int kMaxLeaves = 8;
constexpr int kMaxTileRows = 12;  // 12 x 2 accumulators + 2 weights + 1 broadcast of 32 registers

// A strip of rows times a range of panels.
// bf16: panels [k_padded / 2][32][2], x rows of k_padded bf16; fp32: panels [k_padded][32], x fp32.
struct MatmulTask {
  const void* x;       // first row
  int64_t x_stride;    // elements
  int num_rows;        // any number
  const void* panels;  // the first panel of the weight
  int64_t panel_elements;
  int64_t first_panel;
  int64_t end_panel;
  int64_t n;  // logical output columns (gate and up counted apart)
  int num_leaves;
  const int64_t* leaf_ends;  // padded, in elements of k
  const float* bias;         // of n values in panel order, or null
  int silu_gate;             // panels hold 16 gate and 16 up columns
  int out_is_bf16;
  void* out;
  int64_t out_stride;
};

struct AttentionTask {
  const float* q;  // the rows of one segment's head group: q[row * q_stride + head * head_dim]
  int64_t q_stride;
  int num_rows;  // at positions first_position, first_position + 1, ...
  int first_position;
  const int32_t* page_row;  // page ids of the slot
  const uint8_t* kv;        // base of (layer, kv head)
  int64_t page_stride;      // bytes
  int64_t v_offset;         // bytes from K block to V block
  int num_heads;            // query heads that share this KV head
  int head_dim;
  float scale;
  int window;
  float soft_cap;
  int out_is_bf16;
  void* out;  // out[row * out_stride + head * head_dim]
  int64_t out_stride;
  float* scratch;  // attention_scratch_floats(num_rows * num_heads, head_dim)
};

// Per query: its state, the scores of one page, its accumulated output and a copy of the query.
constexpr int64_t attention_scratch_floats(int64_t num_queries, int64_t head_dim) {
  return num_queries * (4 + kPageTokens + (head_dim + 15) / 16 * 16 + head_dim);
}

struct NormTask {
  float* residual;     // one row, updated
  const float* delta;  // or null
  const float* delta_bias;
  int64_t width;
  int is_layer_norm;
  float epsilon;
  float weight_offset;
  const float* weight;
  const float* bias;  // or null
  void* out;          // or null
  int out_is_bf16;
};

// One row of a Gumbel draw over ids [first_id, first_id + width).
struct DrawTask {
  const float* logits;
  int64_t width;
  int64_t first_id;
  float temperature;
  uint64_t seed;
  uint32_t choice;
  uint32_t token_index;
};

struct TierOps {
  const char* name;
  void (*matmul_bf16)(const MatmulTask& task);
  void (*matmul_f32)(const MatmulTask& task);
  void (*attention_bf16)(const AttentionTask& task);
  void (*attention_f32)(const AttentionTask& task);
  void (*norm)(const NormTask& task);
  // The maximum of logit / temperature + noise and its id, the lowest among equals; -inf and NaN
  // are never drawn; id -1 if there is nothing else.
  void (*draw)(const DrawTask& task, float* best_value, int32_t* best_id);
  // Sum of e^(logit - max) in leaves of 1,024 ids; writes each id's term to `weights` unless null.
  double (*exp_sum)(const float* logits, int64_t width, float greatest, float* weights);
};

extern const TierOps kPortableOps;
extern const TierOps kAvx2Ops;
extern const TierOps kAvx512Ops;
extern const TierOps kAvx512Bf16Ops;

}  // namespace trireme

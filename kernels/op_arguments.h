// Arguments of the ops of backend.h: the rows of a step, norms, epilogues, rotation, attention, and
// what a captured step and its slots keep on the device. Views and plain values; pointers are
// device memory.
#pragma once

#include <compare>
#include <cstdint>

#include "kernels/kv_layout.h"
#include "kernels/tensor.h"
#include "kernels/weight.h"

namespace trireme {

// Element types of the activations between ops.
struct ActivationTypes {
  DType residual = DType::kFloat32;  // residual stream and the deltas that are added to it
  DType input = DType::kBFloat16;    // input of a matmul
  DType wide = DType::kFloat32;      // qkv before rotation, q
  int32_t row_alignment = 1;         // rows start at multiples of this many elements
};

enum class NormKind : uint8_t { kRms, kLayer };
struct Norm {
  NormKind kind = NormKind::kRms;
  float epsilon = 1e-5f;
  float weight_offset = 0;  // added to the weight; 1 for checkpoints that store weight - 1
  Vector weight;
  Vector bias;  // empty: none
};

enum class Activation : uint8_t { kNone, kSiluGate };
struct Epilogue {
  Vector bias;                                // empty: none
  Activation activation = Activation::kNone;  // kSiluGate: W is kGateUp, out has n / 2 columns
};

// The rows of one step: row i is the token `token_ids[i]` at absolute `positions[i]` of `slots[i]`.
// Rows of one slot are consecutive, with consecutive positions: such a run is a segment
// [segment_starts[s], segment_starts[s + 1]). All pointers are device memory at fixed addresses.
// Padding (to a captured graph's sizes) stands at the end: rows of slot -1, for which no op touches
// pages and whose outputs are undefined, and empty segments.
// No op takes the limits max_slots and max_batched_tokens: the memory behind this view has their
// size, set once by the rank (StepLimits).
struct BatchView {
  int32_t num_tokens = 0;
  int32_t num_segments = 0;
  bool is_mixed = false;  // a segment may have more than one row (a prompt chunk)
  const int32_t* token_ids = nullptr;
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* segment_starts = nullptr;  // [num_segments + 1]
  const int32_t* page_table = nullptr;      // [max_slots, page_table_stride] page ids
  int32_t page_table_stride = 0;
};

// Epilogue of linear_add_norm(): residual += delta + bias; out = norm(residual).
struct NormedSum {
  Tensor delta;     // [tokens, n] residual type; scratch for the matmul's output
  Tensor residual;  // [tokens, n] residual type
  Vector bias;      // [n]; empty: none
  Norm norm;
  Tensor out;  // [tokens, n]; without data: no norm
};

// Rotary embedding (Su et al. 2021) of the first rotary_dim dimensions of q and k. Dimension i is
// paired with i + rotary_dim / 2 (halves, not interleaved).
// table [max_positions, rotary_dim / 2, 2]: cos and sin, both times the attention factor.
struct Rope {
  const float* table = nullptr;
  int32_t max_positions = 0;
  int32_t rotary_dim = 0;  // 0: no rotation
};

// Heads of this rank.
struct HeadShape {
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
};

struct QkvSpec {
  HeadShape shape;
  Rope rope;
  Vector q_norm;  // RMSNorm over head_dim before the rotation; empty: none
  Vector k_norm;
  float norm_epsilon = 1e-5f;
  float norm_weight_offset = 0;
};

// Epilogue of linear_qkv(): the arguments of qkv_finish().
struct QkvTarget {
  BatchView batch;
  Tensor qkv;  // scratch for the matmul's output
  QkvSpec spec;
  KvPages pages;
  int32_t layer = 0;
  Tensor q;
};

struct AttentionSpec {
  HeadShape shape;
  float scale = 1;
  int32_t window = 0;  // position i sees j with i - window < j <= i; 0: all j <= i
  float soft_cap = 0;  // scores become cap tanh(score / cap); 0: none
};

// Partition of one step's attention work, shared by all layers of one attention class (equal head
// shape, window and soft cap). attention_plan_bytes() of device memory, filled by plan_attention().
struct AttentionPlan {
  std::byte* data = nullptr;
};

// Key of a captured graph. Steps with equal keys enqueue the same ops with the same arguments, so a
// device may capture the first and replay it. Sizes are padded to buckets, which the coordinator
// chooses so that all ranks agree.
struct StepKey {
  int32_t num_tokens = 0;
  int32_t num_rows = 0;   // sampled
  bool is_mixed = false;  // has segments of more than one row

  // NOLINTNEXTLINE(modernize-use-nullptr): the 0 that clang-tidy 14 sees is of the comparison
  auto operator<=>(const StepKey&) const = default;
};

// A ring of `depth` entries of `entry_bytes`. The current entry has index *step mod depth. post()
// advances *step on the device, so that a replayed graph finds the entry of its step.
struct StepRing {
  std::byte* entries = nullptr;
  int64_t entry_bytes = 0;
  int32_t depth = 0;
  uint64_t* step = nullptr;
};

struct SlotIds {
  int32_t* last = nullptr;     // [max_slots] the id drawn last in each slot
  int32_t* history = nullptr;  // [max_slots, history_stride] prompt and drawn ids; null: not kept
  int64_t history_stride = 0;
};

}  // namespace trireme

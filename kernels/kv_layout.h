// Memory layout of KV cache pages. Chosen by the backend, sent in HELLO, equal on all ranks of a
// group. Address of the K block of (page, layer, head) = base + page * page_stride
// + layer * layer_stride + head * head_stride; the V block follows after half of head_stride. The
// order of bytes inside K and V is the backend's: cpu/tiers/tier_attention.h, cuda/page_image.h.
// Page writes and copies on the CPU call block() (cpu/qkv_finish.cc, cpu/move_rows.cc). The others
// get block(0, layer, head) and add page * page_stride: cpu/tiers/tier_attention.h; in cuda/
// qkv_head.h, qkv_finish.cu, move_rows.cu, attention/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

struct KvLayout {
  int32_t version = 1;
  DType dtype = DType::kBFloat16;
  int32_t page_tokens = 0;
  int32_t head_dim = 0;
  int32_t unit = 0;         // swizzle unit in bytes; 0 = none
  int32_t v_order = 0;      // 0: V is [tokens][head_dim]; other values are backend specific
  int32_t scale_bytes = 0;  // at the end of a block, for quantised KV

  bool operator==(const KvLayout&) const = default;

  // Bytes of one (page, layer, head), K and V together.
  int64_t block_bytes() const {
    return int64_t{2} * page_tokens * head_dim * size_of(dtype) + scale_bytes;
  }
};

// KV pages of this rank. View.
struct KvPages {
  std::byte* base = nullptr;
  KvLayout layout;
  int64_t num_pages = 0;
  int32_t num_layers = 0;  // local
  int32_t num_heads = 0;   // local KV heads
  int64_t page_stride = 0;
  int64_t layer_stride = 0;
  int64_t head_stride = 0;

  std::byte* block(int64_t page, int64_t layer, int64_t head) const {
    return base + page * page_stride + layer * layer_stride + head * head_stride;
  }
};

}  // namespace trireme

// Layout of a KV page on CUDA, in global memory and, copied unchanged, in shared memory (KvLayout
// version 2; docs/decisions). Each (page, layer, head) holds K, then V, each [page_tokens][row]
// divided into units of `unit` bytes (the largest of 128, 64 and 32 that divides a row):
//
//   byte(token, e) = (2 e / unit) * page_tokens * unit + token * unit
//                    + ((c ^ s(token)) * 16) + 2 e % 16
//
// with c = (2 e % unit) / 16, and s = token & 7, (token >> 1) & 3 or (token >> 2) & 1 for units of
// 128, 64 or 32 bytes: the hardware's swizzles, so that the chunks of eight tokens lie in different
// banks. A row holds stored_dim() elements, zero past the model's head_dim.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"

namespace trireme::cuda {

constexpr int32_t kPageTokens = kCudaPageTokens;
constexpr int32_t kKvLayoutVersion = 2;
constexpr int32_t kMaxHeadDim = 256;

// Elements of a stored row: the width of the attention kernel instance that takes this head_dim, or
// 0 if none does.
constexpr int32_t stored_dim(int32_t head_dim) { return cuda_stored_dim(head_dim); }

constexpr int32_t swizzle_unit(int32_t stored_dim) {
  const int32_t bytes = 2 * stored_dim;
  return bytes % 128 == 0 ? 128 : bytes % 64 == 0 ? 64 : 32;
}

// Byte offset of 16-byte chunk `chunk` of a token's row in its K or V block.
constexpr int32_t chunk_offset(int32_t token, int32_t chunk, int32_t unit) {
  const int32_t per_unit = unit / 16;
  const int32_t swizzle = unit == 128  ? token & 7
                          : unit == 64 ? (token >> 1) & 3
                                       : (token >> 2) & 1;
  return (chunk / per_unit) * kPageTokens * unit + token * unit +
         ((chunk % per_unit) ^ swizzle) * 16;
}

// The same for a unit of 2^unit_bits bytes that the compiler does not know: shifts, no division.
constexpr int32_t chunk_offset_shifted(int32_t token, int32_t chunk, int32_t unit_bits) {
  const int32_t chunk_bits = unit_bits - 4, in_unit = (1 << chunk_bits) - 1;
  const int32_t swizzle = (token >> (7 - unit_bits)) & in_unit;
  return ((chunk >> chunk_bits) * kPageTokens << unit_bits) + (token << unit_bits) +
         ((chunk & in_unit) ^ swizzle) * 16;
}

}  // namespace trireme::cuda

// Loads and stores of eight elements: 16 bytes of a 16-bit type, or two float4. Device code only.
#pragma once

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

constexpr int32_t kChunk = 8;

constexpr int32_t num_chunks(int64_t columns) {
  return static_cast<int32_t>((columns + kChunk - 1) / kChunk);
}

template <class E>
__device__ __forceinline__ void unpack8(const uint4& packed, float (&x)[kChunk]) {
  const uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = unpack2<E>(words[i]);
    x[2 * i] = pair.x;
    x[2 * i + 1] = pair.y;
  }
}

template <class E>
__device__ __forceinline__ uint4 pack8(const float (&x)[kChunk]) {
  return {pack2<E>(x[0], x[1]), pack2<E>(x[2], x[3]), pack2<E>(x[4], x[5]), pack2<E>(x[6], x[7])};
}

// Loads the first `valid` floats at `from`, which is 16-byte aligned; the others become zero.
__device__ __forceinline__ void load8(const float* from, int32_t valid, float (&x)[kChunk]) {
  if (valid >= kChunk) {
    const float4 low = *reinterpret_cast<const float4*>(from);
    const float4 high = *reinterpret_cast<const float4*>(from + 4);
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) x[i] = i < valid ? from[i] : 0.0f;
}

__device__ __forceinline__ void store8(float* to, int32_t valid, const float (&x)[kChunk]) {
  if (valid >= kChunk) {
    *reinterpret_cast<float4*>(to) = {x[0], x[1], x[2], x[3]};
    *reinterpret_cast<float4*>(to + 4) = {x[4], x[5], x[6], x[7]};
    return;
  }
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (i < valid) to[i] = x[i];
  }
}

// Stores the first `valid` of eight 16-bit elements.
__device__ __forceinline__ void store8(uint16_t* to, int32_t valid, const uint4& packed) {
  if (valid >= kChunk) {
    *reinterpret_cast<uint4*>(to) = packed;
    return;
  }
  const uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    if (i < valid) to[i] = static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16));
  }
}

}  // namespace trireme::cuda

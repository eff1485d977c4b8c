// One head of qkv_finish: norm, rotation, page. Shared by qkv_finish.cu and the tail of a matmul
// (linear_tail.h). Formula and layout: qkv_finish.cu.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/page_image.h"

namespace trireme::cuda {

constexpr int32_t kMaxHeadPairs = kMaxHeadDim / 2 / 32;  // per lane

struct HeadWork {
  const int32_t* positions;
  const int32_t* slots;
  const int32_t* page_table;
  int32_t page_table_stride;
  int32_t num_tokens;
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t stored_dim;
  const uint16_t* qkv;
  int64_t qkv_stride;
  uint16_t* q;
  int64_t q_stride;
  unsigned char* kv;  // of this layer, page 0 and head 0
  int64_t page_stride;
  int64_t head_stride;
  const float* table;
  int32_t rotary_dim;
  const float* q_norm;
  const float* k_norm;
  float epsilon;
  float weight_offset;
};

// Checks the shapes and makes the arguments of a launch.
HeadWork head_work(const BatchView& batch,
                   const Tensor& qkv,
                   const QkvSpec& spec,
                   const KvPages& pages,
                   int32_t layer,
                   const Tensor& q,
                   DType type);

__device__ __forceinline__ float warp_sum(float value) {
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

// Loads the values of one head as fp32 into shared memory, normalized if there is a weight.
template <class E>
__device__ __forceinline__ void take_head(const HeadWork& work,
                                          const uint16_t* from,
                                          const float* weight,
                                          float* head) {
  const int32_t lane = threadIdx.x % 32;
  const auto* pairs = reinterpret_cast<const uint32_t*>(from);
  float2 x[kMaxHeadPairs];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kMaxHeadPairs; ++i) {
    const int32_t pair = lane + 32 * i;
    x[i] = 2 * pair < work.head_dim ? unpack2<E>(pairs[pair]) : float2{0, 0};
    squares += x[i].x * x[i].x + x[i].y * x[i].y;
  }
  float scale = 1;
  if (weight != nullptr) {
    scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(work.head_dim) + work.epsilon);
  }
#pragma unroll
  for (int i = 0; i < kMaxHeadPairs; ++i) {
    const int32_t column = 2 * (lane + 32 * i);
    if (column >= work.head_dim) continue;
    if (weight != nullptr) {
      x[i].x = x[i].x * scale * (weight[column] + work.weight_offset);
      x[i].y = x[i].y * scale * (weight[column + 1] + work.weight_offset);
    }
    head[column] = x[i].x;
    head[column + 1] = x[i].y;
  }
  __syncwarp();
}

__device__ __forceinline__ void rotate(const HeadWork& work, int32_t position, float* head) {
  const int32_t half = work.rotary_dim / 2;
  const float* angles = work.table + static_cast<int64_t>(position) * work.rotary_dim;
  for (int32_t i = threadIdx.x % 32; i < half; i += 32) {
    const float cosine = angles[2 * i], sine = angles[2 * i + 1];
    const float first = head[i], second = head[i + half];
    head[i] = first * cosine - second * sine;
    head[i + half] = second * cosine + first * sine;
  }
  __syncwarp();
}

// Writes `head` as a row of a page's K or V block.
template <class E>
__device__ __forceinline__ void store_row(const HeadWork& work,
                                          const float* head,
                                          unsigned char* block,
                                          int32_t token) {
  const int32_t chunk = threadIdx.x % 32;
  if (8 * chunk >= work.stored_dim) return;
  uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int32_t column = 8 * chunk + 2 * i;
    words[i] = column < work.head_dim ? pack2<E>(head[column], head[column + 1]) : 0;
  }
  const int32_t offset = chunk_offset(token, chunk, swizzle_unit(work.stored_dim));
  *reinterpret_cast<uint4*>(block + offset) = {words[0], words[1], words[2], words[3]};
}

// Processes one head; called by one warp. `index` counts the row's q heads, then its k heads, then
// its v heads; `head` is shared memory of kMaxHeadDim floats.
template <class E>
__device__ __forceinline__ void finish_head(const HeadWork& work,
                                            int64_t token,
                                            int32_t index,
                                            float* head) {
  const int32_t slot = work.slots[token];
  if (slot < 0) return;
  const int32_t position = work.positions[token];
  const bool is_q = index < work.num_heads;
  const bool is_v = index >= work.num_heads + work.num_kv_heads;
  const float* weight = is_q ? work.q_norm : is_v ? nullptr : work.k_norm;
  const uint16_t* from =
      work.qkv + token * work.qkv_stride + static_cast<int64_t>(index) * work.head_dim;
  take_head<E>(work, from, weight, head);
  if (!is_v && work.rotary_dim > 0) rotate(work, position, head);
  if (is_q) {
    uint16_t* to = work.q + token * work.q_stride + static_cast<int64_t>(index) * work.head_dim;
    for (int32_t pair = threadIdx.x % 32; 2 * pair < work.head_dim; pair += 32) {
      reinterpret_cast<uint32_t*>(to)[pair] = pack2<E>(head[2 * pair], head[2 * pair + 1]);
    }
    return;
  }
  const int32_t kv_head = index - work.num_heads - (is_v ? work.num_kv_heads : 0);
  const int32_t page =
      work.page_table[static_cast<int64_t>(slot) * work.page_table_stride + position / kPageTokens];
  unsigned char* block = work.kv + page * work.page_stride + kv_head * work.head_stride +
                         (is_v ? work.head_stride / 2 : 0);
  store_row<E>(work, head, block, position % kPageTokens);
}

}  // namespace trireme::cuda

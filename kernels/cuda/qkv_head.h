// One head of qkv_finish in registers: norm, rotation, page. Shared by qkv_finish.cu and the tail
// of a matmul (linear_tail.h). Formula: qkv_finish.cu.
//
// Layout: kLanes lanes of a warp take one head, a chunk of eight elements each, 16 bytes in and
// out. Element i and the one half a rotation behind it lie in two lanes, which exchange chunks. A
// lane takes several heads of one row: position, page and angles are loaded once.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/chunk.h"
#include "kernels/cuda/page_image.h"

namespace trireme::cuda {

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
  int32_t unit_bits;  // log2 of swizzle_unit(stored_dim)
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

// Whether heads consist of whole chunks, aligned to 16 bytes, and so do the halves of a rotation.
// The others are finished in shared memory (qkv_finish.cu).
bool is_in_chunks(const HeadWork& work);

// The place of a row of qkv.
struct TokenPlace {
  int32_t slot;  // -1: the row is padding
  int32_t position;
};

__device__ __forceinline__ TokenPlace token_place(const HeadWork& work, int32_t token) {
  return {work.slots[token], work.positions[token]};
}

__device__ __forceinline__ bool has_norm(const HeadWork& work) {
  return work.q_norm != nullptr || work.k_norm != nullptr;
}

// The weights of a chunk, if its head has a norm.
struct HeadWeight {
  bool is_normed = false;
  float4 low = {0, 0, 0, 0}, high = {0, 0, 0, 0};
};

__device__ __forceinline__ HeadWeight load_weight(const HeadWork& work,
                                                  int32_t index,
                                                  int32_t chunk) {
  const float* from = index < work.num_heads                       ? work.q_norm
                      : index < work.num_heads + work.num_kv_heads ? work.k_norm
                                                                   : nullptr;
  HeadWeight loaded;
  if (from == nullptr || chunk * kChunk >= work.head_dim) return loaded;
  loaded.is_normed = true;
  loaded.low = *reinterpret_cast<const float4*>(from + chunk * kChunk);
  loaded.high = *reinterpret_cast<const float4*>(from + chunk * kChunk + 4);
  return loaded;
}

__device__ __forceinline__ float shuffled_sum(float value, int32_t distance) {
  return value + __shfl_xor_sync(0xffffffffu, value, distance);
}

// The sum of pair_sums over the lanes of a head, in each of them. Lane c has those of pairs 4 c to
// 4 c + 3. The order is that of a warp whose lane l has pairs l, l + 32, ... in a chain, followed
// by the tree of lanes at distance 16, 8, 4, 2, 1; here pair distances of four and more are lane
// distances. Each lane keeps one of the four pairs from the first steps on.
template <int kLanes>
__device__ __forceinline__ float head_sum(const float (&pair_sums)[4]) {
  const uint32_t lane = threadIdx.x % kLanes;
  float sum;
  if constexpr (kLanes == 32) {
    // A chain over lanes c % 8 + 0, 8, 16, 24; of its pairs lane c keeps pair c / 8.
    const uint32_t kept = lane / 8;
    float links[4];
#pragma unroll
    for (uint32_t turn = 0; turn < 4; ++turn) {
      const uint32_t given = kept ^ turn;
      const float low = given % 2 == 0 ? pair_sums[0] : pair_sums[1];
      const float high = given % 2 == 0 ? pair_sums[2] : pair_sums[3];
      links[turn] = __shfl_xor_sync(0xffffffffu, given < 2 ? low : high, 8 * turn);
    }
    // links[t] comes from lane group kept ^ t; they are added in the groups' order.
    const bool is_odd = kept % 2 != 0;
    const float a = is_odd ? links[1] : links[0], b = is_odd ? links[0] : links[1];
    const float c = is_odd ? links[3] : links[2], d = is_odd ? links[2] : links[3];
    const bool is_upper = kept >= 2;
    sum = (is_upper ? c : a) + (is_upper ? d : b);
    sum += is_upper ? a : c;
    sum += is_upper ? b : d;
    sum = shuffled_sum(shuffled_sum(shuffled_sum(sum, 4), 2), 1);
  } else {
    constexpr int32_t kFirst = kLanes / 2, kSecond = kLanes / 4;
    const bool keeps_upper = (lane & kFirst) != 0, keeps_odd = (lane & kSecond) != 0;
    float two[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float given = keeps_upper ? pair_sums[i] : pair_sums[i + 2];
      two[i] = (keeps_upper ? pair_sums[i + 2] : pair_sums[i]) +
               __shfl_xor_sync(0xffffffffu, given, kFirst);
    }
    sum = (keeps_odd ? two[1] : two[0]) +
          __shfl_xor_sync(0xffffffffu, keeps_odd ? two[0] : two[1], kSecond);
#pragma unroll
    for (int32_t distance = kLanes / 8; distance > 0; distance /= 2) {
      sum = shuffled_sum(sum, distance);
    }
  }
  return shuffled_sum(shuffled_sum(sum, kLanes / 2), kLanes / 4);
}

// A lane's share of the heads of one row.
template <int kLanes>
struct HeadLane {
  int32_t chunk;         // of a head
  int32_t end;           // of the heads that have this chunk
  const uint16_t* from;  // this chunk of head 0
  int32_t page;
  int32_t partner;  // the lane that has the other half of this chunk's rotation
  bool is_rotated;
  float cosine[kChunk];
  float sine[kChunk];  // once prepared, negative in the first half
  uint16_t* q;
  unsigned char* kv;  // in K of head 0

  __device__ __forceinline__ HeadLane(const HeadWork& work, int32_t token)
      : chunk(static_cast<int32_t>(threadIdx.x) % kLanes),
        end(chunk * kChunk < work.head_dim ? work.num_heads + 2 * work.num_kv_heads : 0),
        from(work.qkv + token * work.qkv_stride + chunk * kChunk) {}

  // Loads what all heads of the row share, and waits for none of it; `place`: of a row that is no
  // padding.
  __device__ __forceinline__ void load(const HeadWork& work,
                                       int32_t token,
                                       const TokenPlace& place) {
    const int32_t lane = threadIdx.x % 32;
    const auto position = static_cast<uint32_t>(place.position);
    page = work.page_table[static_cast<int64_t>(place.slot) * work.page_table_stride +
                           position / kPageTokens];
    const int32_t half = work.rotary_dim / (2 * kChunk);  // chunks
    const bool is_first = chunk < half;
    is_rotated = chunk < 2 * half;
    partner = lane + (!is_rotated ? 0 : is_first ? half : -half);
    if (is_rotated) {
      const float* angles = work.table + static_cast<int64_t>(place.position) * work.rotary_dim +
                            (is_first ? chunk : chunk - half) * (2 * kChunk);
#pragma unroll
      for (int i = 0; i < kChunk; i += 2) {
        const float4 two = *reinterpret_cast<const float4*>(angles + 2 * i);
        cosine[i] = two.x, cosine[i + 1] = two.z;
        sine[i] = two.y, sine[i + 1] = two.w;
      }
    }
    q = work.q + token * work.q_stride + chunk * kChunk;
    kv = work.kv +
         chunk_offset_shifted(static_cast<int32_t>(position % kPageTokens), chunk, work.unit_bits);
  }

  // Makes of it what finish() takes.
  __device__ __forceinline__ void prepare(const HeadWork& work) {
    kv += page * work.page_stride;
    if (partner <= static_cast<int32_t>(threadIdx.x % 32)) return;
#pragma unroll
    for (int i = 0; i < kChunk; ++i) sine[i] = -sine[i];
  }

  // Zero past the heads and past their width.
  __device__ __forceinline__ uint4 load_head(const HeadWork& work, int32_t index) const {
    if (index >= end) return {0, 0, 0, 0};
    return *reinterpret_cast<const uint4*>(from + index * work.head_dim);
  }

  // Finishes head `index`, whose chunk is `raw`; called by all lanes of a warp. The heads of q come
  // first, then those of k and of v; lanes of a head past them store nothing. kHasNorm: has_norm().
  template <class E, bool kHasNorm>
  __device__ __forceinline__ void finish(const HeadWork& work,
                                         int32_t index,
                                         const uint4& raw,
                                         const HeadWeight& weight) const {
    const int32_t first_v = work.num_heads + work.num_kv_heads;
    const bool turns = is_rotated && index < first_v;
    uint4 done = raw;
    if constexpr (kHasNorm) {
      done = normed<E>(work, raw, weight, turns);
    } else if (work.rotary_dim > 0) {
      const uint4 other = {exchanged(raw.x), exchanged(raw.y), exchanged(raw.z), exchanged(raw.w)};
      float x[kChunk], y[kChunk];
      unpack8<E>(raw, x);
      unpack8<E>(other, y);
      if (turns) done = rotated<E>(x, y);
    }
    store(work, index, done);
  }

 private:
  template <class T>
  __device__ __forceinline__ T exchanged(T value) const {
    return __shfl_sync(0xffffffffu, value, partner);
  }

  // x cos + y sin of a chunk and the other half's.
  template <class E>
  __device__ __forceinline__ uint4 rotated(float (&x)[kChunk], const float (&y)[kChunk]) const {
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] = x[i] * cosine[i] + y[i] * sine[i];
    return pack8<E>(x);
  }

  // A chunk with norm and rotation, where its head has them.
  template <class E>
  __device__ __forceinline__ uint4
  normed(const HeadWork& work, const uint4& raw, const HeadWeight& weight, bool turns) const {
    float x[kChunk], y[kChunk], pair_sums[4];
    unpack8<E>(raw, x);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      pair_sums[i] = x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1];
    }
    const float mean = head_sum<kLanes>(pair_sums) / static_cast<float>(work.head_dim);
    const float scale = 1.0f / sqrtf(mean + work.epsilon);
    const float weights[kChunk] = {weight.low.x,
                                   weight.low.y,
                                   weight.low.z,
                                   weight.low.w,
                                   weight.high.x,
                                   weight.high.y,
                                   weight.high.z,
                                   weight.high.w};
#pragma unroll
    for (int i = 0; i < kChunk; ++i) {
      const float normal = x[i] * scale * (weights[i] + work.weight_offset);
      x[i] = weight.is_normed ? normal : x[i];
      y[i] = exchanged(x[i]);
    }
    if (turns) return rotated<E>(x, y);
    return weight.is_normed ? pack8<E>(x) : raw;
  }

  __device__ __forceinline__ void store(const HeadWork& work,
                                        int32_t index,
                                        const uint4& done) const {
    const int32_t kv_index = index - work.num_heads;
    if (kv_index < 0) {
      if (index < end) *reinterpret_cast<uint4*>(q + index * work.head_dim) = done;
      return;
    }
    if (kv_index >= 2 * work.num_kv_heads || chunk * kChunk >= work.stored_dim) return;
    const bool is_v = kv_index >= work.num_kv_heads;
    const int32_t kv_head = is_v ? kv_index - work.num_kv_heads : kv_index;
    const auto stride = static_cast<int32_t>(work.head_stride);  // a page's K and V of a head
    unsigned char* to = kv + static_cast<int64_t>(kv_head) * stride + (is_v ? stride / 2 : 0);
    *reinterpret_cast<uint4*>(to) = done;
  }
};

}  // namespace trireme::cuda

// Norm, rotation and store of the heads of q, k and v. For q and k:
//
//   y = x / sqrt(mean(x^2) + epsilon) (weight + offset), if there is a weight
//   (y_i, y_j) becomes (y_i cos - y_j sin, y_j cos + y_i sin), j = i + rotary_dim / 2
//
// k and v go to their rows of the page (page_image.h), zero past head_dim; q goes to its matrix.
// Rows of slot -1 are skipped.
//
// Layout: a warp takes one row and, for widths up to 64, 128 and 256, four, two or one heads at
// once, four times (qkv_head.h). Heads that are not made of aligned chunks take a warp each: 16-bit
// pairs into registers, fp32 in shared memory for the rotation, 16-byte chunks out. Both have the
// same bits. No fused multiply-adds, so the sums are those of the definition.
//
// Bound: bytes, 4 per value in and out. Share of peak: not yet measured.
#include <bit>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/qkv_head.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kWarps = 8;
constexpr int32_t kThreads = 32 * kWarps;
constexpr int32_t kHeadsPerLane = 4;                     // their loads are in flight at once
constexpr int32_t kMaxHeadPairs = kMaxHeadDim / 2 / 32;  // per lane, of a head in shared memory

struct FinishLayout {
  float head[kWarps][kMaxHeadDim];
};

// Heads of a row in a warp of the kernel below.
constexpr int32_t heads_per_warp(int32_t lanes) { return 32 / lanes * kHeadsPerLane; }

template <class E, int kLanes>
__global__ void __launch_bounds__(kThreads)
    qkv_finish_chunks(const __grid_constant__ HeadWork work) {
  dependency_wait();
  const auto token = static_cast<int32_t>(blockIdx.x * kWarps + threadIdx.x / 32);
  if (token >= work.num_tokens) return;
  const TokenPlace place = token_place(work, token);
  HeadLane<kLanes> lane(work, token);
  const auto first = static_cast<int32_t>(blockIdx.y) * heads_per_warp(kLanes) +
                     static_cast<int32_t>(threadIdx.x % 32 / kLanes);
  uint4 raw[kHeadsPerLane];
#pragma unroll
  for (int i = 0; i < kHeadsPerLane; ++i) raw[i] = lane.load_head(work, first + i * (32 / kLanes));
  if (place.slot < 0) return;
  lane.load(work, token, place);
  lane.prepare(work);
  if (has_norm(work)) {
#pragma unroll
    for (int i = 0; i < kHeadsPerLane; ++i) {
      const int32_t index = first + i * (32 / kLanes);
      const HeadWeight weight = load_weight(work, index, lane.chunk);
      lane.template finish<E, true>(work, index, raw[i], weight);
    }
  } else {
#pragma unroll
    for (int i = 0; i < kHeadsPerLane; ++i) {
      lane.template finish<E, false>(work, first + i * (32 / kLanes), raw[i], {});
    }
  }
}

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

template <class E>
__global__ void __launch_bounds__(kThreads)
    qkv_finish_pairs(const __grid_constant__ HeadWork work) {
  FinishLayout& shared = shared_memory<FinishLayout>();
  dependency_wait();
  const int32_t warp = threadIdx.x / 32;
  const int32_t heads = work.num_heads + 2 * work.num_kv_heads;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (unit >= static_cast<int64_t>(work.num_tokens) * heads) return;
  finish_head<E>(work, unit / heads, static_cast<int32_t>(unit % heads), shared.head[warp]);
}

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

unsigned ceil_div(int64_t a, int64_t b) { return static_cast<unsigned>((a + b - 1) / b); }

template <int kLanes>
void launch_chunks(CudaQueue& queue, const HeadWork& work, bool is_bf16) {
  LaunchConfig config;
  config.grid = dim3(ceil_div(work.num_tokens, kWarps),
                     ceil_div(work.num_heads + 2 * work.num_kv_heads, heads_per_warp(kLanes)));
  config.block = dim3(kThreads);
  const auto kernel = is_bf16 ? qkv_finish_chunks<Bf16, kLanes> : qkv_finish_chunks<Fp16, kLanes>;
  launch(queue, "qkv_finish", kernel, config, work);
}

void launch_pairs(CudaQueue& queue, const HeadWork& work, bool is_bf16) {
  const int64_t heads = work.num_heads + 2 * work.num_kv_heads;
  LaunchConfig config;
  config.grid = dim3(ceil_div(work.num_tokens * heads, kWarps));
  config.block = dim3(kThreads);
  config.shared_bytes = sizeof(FinishLayout);
  const auto kernel = is_bf16 ? qkv_finish_pairs<Bf16> : qkv_finish_pairs<Fp16>;
  launch(queue, "qkv_finish", kernel, config, work);
}

}  // namespace

HeadWork head_work(const BatchView& batch,
                   const Tensor& qkv,
                   const QkvSpec& spec,
                   const KvPages& pages,
                   int32_t layer,
                   const Tensor& q,
                   DType type) {
  const HeadShape& shape = spec.shape;
  const int64_t heads = shape.num_heads + 2 * shape.num_kv_heads;
  const int32_t width = stored_dim(shape.head_dim);
  CHECK(shape.head_dim > 0 && shape.head_dim % 2 == 0 && shape.head_dim <= kMaxHeadDim);
  CHECK(qkv.dtype == type && q.dtype == type);
  CHECK(qkv.columns == heads * shape.head_dim && qkv.row_stride % 2 == 0);
  CHECK(q.columns == int64_t{shape.num_heads} * shape.head_dim && q.row_stride % 2 == 0);
  CHECK(spec.rope.rotary_dim <= shape.head_dim && spec.rope.rotary_dim % 2 == 0);
  CHECK(pages.layout.page_tokens == kPageTokens && pages.num_heads == shape.num_kv_heads);
  CHECK(pages.head_stride >= int64_t{4} * kPageTokens * width && pages.head_stride % 32 == 0);

  HeadWork work;
  work.positions = batch.positions;
  work.slots = batch.slots;
  work.page_table = batch.page_table;
  work.page_table_stride = batch.page_table_stride;
  work.num_tokens = batch.num_tokens;
  work.num_heads = shape.num_heads;
  work.num_kv_heads = shape.num_kv_heads;
  work.head_dim = shape.head_dim;
  work.stored_dim = width;
  work.unit_bits = std::countr_zero(static_cast<uint32_t>(swizzle_unit(width)));
  work.qkv = qkv.row<uint16_t>(0);
  work.qkv_stride = qkv.row_stride;
  work.q = q.row<uint16_t>(0);
  work.q_stride = q.row_stride;
  work.kv = reinterpret_cast<unsigned char*>(pages.block(0, layer, 0));
  work.page_stride = pages.page_stride;
  work.head_stride = pages.head_stride;
  work.table = spec.rope.table;
  work.rotary_dim = spec.rope.rotary_dim;
  work.q_norm = spec.q_norm.data;
  work.k_norm = spec.k_norm.data;
  work.epsilon = spec.norm_epsilon;
  work.weight_offset = spec.norm_weight_offset;
  return work;
}

bool is_in_chunks(const HeadWork& work) {
  return work.head_dim % kChunk == 0 && work.rotary_dim % (2 * kChunk) == 0 &&
         is_aligned(work.qkv) && work.qkv_stride % kChunk == 0 && is_aligned(work.q) &&
         work.q_stride % kChunk == 0 && is_aligned(work.table) && is_aligned(work.q_norm) &&
         is_aligned(work.k_norm);
}

void CudaBackend::qkv_finish(Queue& queue,
                             const BatchView& batch,
                             Tensor qkv,
                             const QkvSpec& spec,
                             const KvPages& pages,
                             int32_t layer,
                             Tensor q) {
  const HeadWork work = head_work(batch, qkv, spec, pages, layer, q, options_.dtype);
  CudaQueue& stream = cuda_queue(queue);
  if (!is_in_chunks(work)) return launch_pairs(stream, work, is_bf16());
  if (work.head_dim <= 64) return launch_chunks<8>(stream, work, is_bf16());
  if (work.head_dim <= 128) return launch_chunks<16>(stream, work, is_bf16());
  launch_chunks<32>(stream, work, is_bf16());
}

}  // namespace trireme::cuda

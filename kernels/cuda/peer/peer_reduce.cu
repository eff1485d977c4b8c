// All-reduce among ranks that see one another's memory (protocol: peer_turn.h), and the same sum
// over parts that came over a network.
//
//   out[i] = round(((x_0[i] + x_1[i]) + x_2[i]) + ...), x_r of rank r, added in fp32.
//
// One shot: each rank copies its data to its own buffer, meets the others, and adds all ranks'
// data. Two shots: each rank adds part `self` only, stores the sum in place of the part, meets the
// others again and copies their sums. Both give every element the same bits, so the size decides.
//
// Layout: contiguous elements in packs of 16 bytes.
//
// Bound: bytes over the links: one shot (n - 1) B per rank, two shots 2 (n - 1) / n B. Share of
// peak not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/peer/peer_reduce.h"
#include "kernels/cuda/peer/peer_turn.h"

namespace trireme::cuda {
namespace {

constexpr int64_t kPackBytes = 16;
constexpr int64_t kOneShotBytes = int64_t{256} << 10;  // larger: two shots move fewer bytes

struct Fp32 {};

// The elements of a pack as fp32, and back.
template <class E>
struct Pack {
  static constexpr int kCount = 8;
  static __device__ __forceinline__ void widen_to(const uint4& pack, float (&values)[kCount]) {
    const uint32_t words[4] = {pack.x, pack.y, pack.z, pack.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 pair = unpack2<E>(words[i]);
      values[2 * i] = pair.x;
      values[2 * i + 1] = pair.y;
    }
  }
  static __device__ __forceinline__ uint4 narrow_from(const float (&values)[kCount]) {
    return {pack2<E>(values[0], values[1]),
            pack2<E>(values[2], values[3]),
            pack2<E>(values[4], values[5]),
            pack2<E>(values[6], values[7])};
  }
};
template <>
struct Pack<Fp32> {
  static constexpr int kCount = 4;
  static __device__ __forceinline__ void widen_to(const uint4& pack, float (&values)[kCount]) {
    values[0] = __uint_as_float(pack.x);
    values[1] = __uint_as_float(pack.y);
    values[2] = __uint_as_float(pack.z);
    values[3] = __uint_as_float(pack.w);
  }
  static __device__ __forceinline__ uint4 narrow_from(const float (&values)[kCount]) {
    return {__float_as_uint(values[0]),
            __float_as_uint(values[1]),
            __float_as_uint(values[2]),
            __float_as_uint(values[3])};
  }
};

// Pack `index` of an array of `bytes` (even) bytes; the last pack may be partial.
__device__ __forceinline__ uint4 load_pack(const std::byte* data, int64_t index, int64_t bytes) {
  const int64_t begin = index * kPackBytes;
  if (begin + kPackBytes <= bytes) return *reinterpret_cast<const uint4*>(data + begin);
  const auto* halves = reinterpret_cast<const uint16_t*>(data + begin);
  uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (begin + 2 * i < bytes) words[i / 2] |= static_cast<uint32_t>(halves[i]) << (16 * (i % 2));
  }
  return {words[0], words[1], words[2], words[3]};
}

__device__ __forceinline__ void store_pack(std::byte* data,
                                           int64_t index,
                                           int64_t bytes,
                                           const uint4& pack) {
  const int64_t begin = index * kPackBytes;
  if (begin + kPackBytes <= bytes) {
    *reinterpret_cast<uint4*>(data + begin) = pack;
    return;
  }
  auto* halves = reinterpret_cast<uint16_t*>(data + begin);
  const uint32_t words[4] = {pack.x, pack.y, pack.z, pack.w};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (begin + 2 * i < bytes) halves[i] = static_cast<uint16_t>(words[i / 2] >> (16 * (i % 2)));
  }
}

// The sum of pack `index` of the ranks' buffers. All loads are issued before the first is used.
template <class E>
__device__ __forceinline__ uint4 sum_of_peers(const PeerView& view, int64_t half, int64_t index) {
  uint4 packs[kMaxPeers];
#pragma unroll
  for (int32_t rank = 0; rank < kMaxPeers; ++rank) {
    if (rank < view.n) {
      packs[rank] =
          load_peer(reinterpret_cast<const uint4*>(view.buffers[rank] + half + index * kPackBytes));
    }
  }
  float sums[Pack<E>::kCount];
  Pack<E>::widen_to(packs[0], sums);
#pragma unroll
  for (int32_t rank = 1; rank < kMaxPeers; ++rank) {
    if (rank < view.n) {
      float values[Pack<E>::kCount];
      Pack<E>::widen_to(packs[rank], values);
#pragma unroll
      for (int i = 0; i < Pack<E>::kCount; ++i) sums[i] += values[i];
    }
  }
  return Pack<E>::narrow_from(sums);
}

template <class E>
__global__ void __launch_bounds__(kPeerThreads, 2)
    reduce_in_one_shot(const __grid_constant__ PeerView view, std::byte* data, int64_t bytes) {
  auto& state = shared_memory<BlockState>();
  if (!begin_turn(view, state)) return;
  const int64_t half = half_offset(view, state);
  const int64_t num_packs = (bytes + kPackBytes - 1) / kPackBytes;
  std::byte* const own = view.buffers[view.self] + half;
  for (int64_t i = first_index(); i < num_packs; i += index_step()) {
    store_peer(reinterpret_cast<uint4*>(own + i * kPackBytes), load_pack(data, i, bytes));
  }
  if (!meet(view, state, 0, PeerOperation::kAllReduce)) return;
  for (int64_t i = first_index(); i < num_packs; i += index_step()) {
    store_pack(data, i, bytes, sum_of_peers<E>(view, half, i));
  }
  end_turn(view, state);
}

// Rank r's part is packs [r part, (r + 1) part); a block has the same positions in every part.
template <class E>
__global__ void __launch_bounds__(kPeerThreads, 2)
    reduce_in_two_shots(const __grid_constant__ PeerView view, std::byte* data, int64_t bytes) {
  auto& state = shared_memory<BlockState>();
  if (!begin_turn(view, state)) return;
  const int64_t half = half_offset(view, state);
  const int64_t num_packs = (bytes + kPackBytes - 1) / kPackBytes;
  const int64_t part = (num_packs + view.n - 1) / view.n;
  std::byte* const own = view.buffers[view.self] + half;
#pragma unroll 1
  for (int64_t i = first_index(); i < part; i += index_step()) {
#pragma unroll 1
    for (int64_t pack = i; pack < num_packs; pack += part) {
      store_peer(reinterpret_cast<uint4*>(own + pack * kPackBytes), load_pack(data, pack, bytes));
    }
  }
  if (!meet(view, state, 0, PeerOperation::kAllReduce)) return;
#pragma unroll 1
  for (int64_t i = first_index(); i < part; i += index_step()) {
    const int64_t pack = view.self * part + i;
    if (pack >= num_packs) break;
    const uint4 sum = sum_of_peers<E>(view, half, pack);
    store_peer(reinterpret_cast<uint4*>(own + pack * kPackBytes), sum);
    store_pack(data, pack, bytes, sum);
  }
  if (!meet(view, state, 1, PeerOperation::kAllReduce)) return;
#pragma unroll 1
  for (int64_t i = first_index(); i < part; i += index_step()) {
#pragma unroll
    for (int32_t rank = 0; rank < kMaxPeers; ++rank) {
      const int64_t pack = rank * part + i;
      if (rank >= view.n || rank == view.self || pack >= num_packs) continue;
      const auto* sum =
          reinterpret_cast<const uint4*>(view.buffers[rank] + half + pack * kPackBytes);
      store_pack(data, pack, bytes, load_peer(sum));
    }
  }
  end_turn(view, state);
}

template <class E>
__global__ void __launch_bounds__(kPeerThreads) add_parts(
    const std::byte* parts, int64_t stride, int32_t num_parts, std::byte* out, int64_t bytes) {
  dependency_wait();
  const int64_t num_packs = (bytes + kPackBytes - 1) / kPackBytes;
  for (int64_t i = first_index(); i < num_packs; i += index_step()) {
    float sums[Pack<E>::kCount];
    Pack<E>::widen_to(load_pack(parts, i, bytes), sums);
    for (int32_t part = 1; part < num_parts; ++part) {
      float values[Pack<E>::kCount];
      Pack<E>::widen_to(load_pack(parts + part * stride, i, bytes), values);
#pragma unroll
      for (int k = 0; k < Pack<E>::kCount; ++k) sums[k] += values[k];
    }
    store_pack(out, i, bytes, Pack<E>::narrow_from(sums));
  }
}

template <class E>
void reduce(CudaQueue& queue, const PeerView& view, std::byte* data, int64_t bytes) {
  const PeerReduceLaunch chosen = choose_peer_reduce(bytes, view.n, view.max_blocks);
  const LaunchConfig config = peer_launch(chosen.blocks);
  if (chosen.is_two_shot) {
    launch(queue, "all_reduce in two shots", reduce_in_two_shots<E>, config, view, data, bytes);
  } else {
    launch(queue, "all_reduce in one shot", reduce_in_one_shot<E>, config, view, data, bytes);
  }
}

template <class E>
void add(CudaQueue& queue, const std::byte* parts, int64_t stride, int32_t num_parts, Tensor out) {
  LaunchConfig config;
  const int64_t packs = (out.bytes() + kPackBytes - 1) / kPackBytes;
  config.grid = {static_cast<unsigned>(blocks_for(packs, queue.num_blocks())), 1, 1};
  config.block = {kPeerThreads, 1, 1};
  launch(queue,
         "add in rank order",
         add_parts<E>,
         config,
         parts,
         stride,
         num_parts,
         out.data,
         out.bytes());
}

bool is_packed(Tensor tensor) {
  return tensor.row_stride == tensor.columns &&
         reinterpret_cast<uint64_t>(tensor.data) % kPackBytes == 0;
}

}  // namespace

PeerReduceLaunch choose_peer_reduce(int64_t bytes, int32_t num_ranks, int32_t max_blocks) {
  PeerReduceLaunch chosen;
  chosen.is_two_shot = num_ranks > 2 && bytes > kOneShotBytes;
  const int64_t packs = (bytes + kPackBytes - 1) / kPackBytes;
  const int64_t packs_per_rank = chosen.is_two_shot ? (packs + num_ranks - 1) / num_ranks : packs;
  chosen.blocks = blocks_for(packs_per_rank, std::min(max_blocks, kMaxPeerBlocks));
  return chosen;
}

void peer_all_reduce(CudaQueue& queue, const PeerView& view, Tensor data) {
  CHECK(view.n > 0 && is_packed(data) && data.bytes() <= view.half_bytes);
  if (data.bytes() == 0) return;
  switch (data.dtype) {
    case DType::kFloat32:
      return reduce<Fp32>(queue, view, data.data, data.bytes());
    case DType::kBFloat16:
      return reduce<Bf16>(queue, view, data.data, data.bytes());
    case DType::kFloat16:
      return reduce<Fp16>(queue, view, data.data, data.bytes());
    default:
      CHECK_THAT(false, "all_reduce of a type that is no float");
  }
}

void add_in_rank_order(
    CudaQueue& queue, const std::byte* parts, int64_t stride, int32_t num_parts, Tensor out) {
  CHECK(num_parts > 0 && is_packed(out) && stride >= out.bytes() && stride % kPackBytes == 0);
  if (out.bytes() == 0) return;
  switch (out.dtype) {
    case DType::kFloat32:
      return add<Fp32>(queue, parts, stride, num_parts, out);
    case DType::kBFloat16:
      return add<Bf16>(queue, parts, stride, num_parts, out);
    case DType::kFloat16:
      return add<Fp16>(queue, parts, stride, num_parts, out);
    default:
      CHECK_THAT(false, "a sum of a type that is no float");
  }
}

cudaError_t prepare_peer_reduce(int32_t& resident_blocks) {
  return load_peer_kernels(resident_blocks,
                           reduce_in_one_shot<Fp32>,
                           reduce_in_one_shot<Bf16>,
                           reduce_in_one_shot<Fp16>,
                           reduce_in_two_shots<Fp32>,
                           reduce_in_two_shots<Bf16>,
                           reduce_in_two_shots<Fp16>,
                           add_parts<Fp32>,
                           add_parts<Bf16>,
                           add_parts<Fp16>);
}

}  // namespace trireme::cuda

// All-reduce, all-gather and broadcast among ranks that see one another's memory.
//
//   out[i] = round(((x_0[i] + x_1[i]) + x_2[i]) + ...), x_r of rank r, added in fp32.
//
// One shot: each rank copies its data to its own buffer, meets the others, and adds what all have.
// Two shots: it adds part `self` only, puts the sum where the part lay, meets the others again and
// copies their sums. Both give every element the same bits, so the size may choose.
// Meeting: block b of every rank writes its turn to a flag at each peer and waits for theirs; what
// block b reads after a meeting was written by the peers' blocks b before it. Flags alternate with
// the turn, so that a peer one turn ahead does not overwrite what is not seen yet; so do the halves
// of the buffer, which saves a meeting at the end: when a rank comes to this half again, its peers
// have met it in the turn between, and so have ended this one.
// Bound: bytes over the links: one shot (n - 1) B a rank, two shots 2 (n - 1) / n B. Share of peak
// not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/peer_reduce.h"

namespace trireme::cuda {
namespace {

constexpr int32_t kThreads = 512;
constexpr int64_t kPackBytes = 16;
constexpr int64_t kOneShotBytes = int64_t{256} << 10;  // more is less over the links in two
constexpr uint32_t kLooksPerCheck = 64;  // of a flag, between two of the abort word and the clock

struct Fp32 {};

struct BlockState {
  uint32_t turn;
  uint32_t has_stopped;
};

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

// Pack `index` of `bytes` (even) bytes: the last one may be cut short.
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

__device__ __forceinline__ int64_t first_index() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}
__device__ __forceinline__ int64_t index_step() {
  return static_cast<int64_t>(gridDim.x) * kThreads;
}

// Whether the operation is to run; every thread of the block gets the same answer.
__device__ __forceinline__ bool begin_turn(const PeerView& view, BlockState& state) {
  dependency_wait();
  if (threadIdx.x == 0) {
    state.turn = view.turn->turn;
    state.has_stopped = view.turn->has_stopped;
  }
  __syncthreads();
  return state.has_stopped == 0;
}

__device__ __forceinline__ void stop(const PeerView& view,
                                     BlockState& state,
                                     PeerOperation operation,
                                     int32_t peer) {
  state.has_stopped = 1;
  view.turn->has_stopped = 1;
  store_release_system(view.report, PeerReport{operation, peer}.word());
}

__device__ __forceinline__ void wait_for_flag(const PeerView& view,
                                              BlockState& state,
                                              const uint32_t* flag,
                                              PeerOperation operation,
                                              int32_t peer) {
  const uint64_t begin_ns = clock_ns();
  for (uint32_t looks = 1; load_acquire_system(flag) != state.turn + 1; ++looks) {
    if (looks % kLooksPerCheck != 0) continue;
    if (load_acquire_system(view.abort) == 0 && clock_ns() - begin_ns < view.wait_limit_ns) {
      continue;
    }
    stop(view, state, operation, peer);
    return;
  }
}

// All ranks' blocks of this index are here, and what they wrote before is seen. False: one did not
// come.
__device__ __forceinline__ bool meet(const PeerView& view,
                                     BlockState& state,
                                     int32_t phase,
                                     PeerOperation operation) {
  const uint32_t turn = state.turn;
  __syncthreads();
  const auto peer = static_cast<int32_t>(threadIdx.x);
  if (peer < view.n && peer != view.self) {
    const int32_t set = static_cast<int32_t>(turn & 1) * kPeerPhases + phase;
    const int64_t place = (int64_t{set} * kMaxPeerBlocks + blockIdx.x) * kMaxPeers;
    store_release_system(view.flags[peer] + place + view.self, turn + 1);
    wait_for_flag(view, state, view.flags[view.self] + place + peer, operation, peer);
  }
  __syncthreads();
  return state.has_stopped == 0;
}

// The last block to end moves the turn on: all have read it.
__device__ __forceinline__ void end_turn(const PeerView& view, const BlockState& state) {
  if (threadIdx.x != 0) return;
  if (add_acquire_release(&view.turn->finished_blocks, 1) != gridDim.x - 1) return;
  view.turn->finished_blocks = 0;
  view.turn->turn = state.turn + 1;
}

__device__ __forceinline__ int64_t half_offset(const PeerView& view, const BlockState& state) {
  return (state.turn & 1) != 0 ? view.half_bytes : 0;
}

// The sum of pack `index` of the ranks' buffers. All loads are under way before the first is used.
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
__global__ void __launch_bounds__(kThreads, 2)
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

// Rank r's part is packs [r part, (r + 1) part); a block has the same places in every part.
template <class E>
__global__ void __launch_bounds__(kThreads, 2)
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

// root < 0: all + r * stride = rank r's words; else `all` of every rank = the root's.
template <class Word>
__global__ void __launch_bounds__(kThreads) share_words(const __grid_constant__ PeerView view,
                                                        const std::byte* local,
                                                        int64_t num_words,
                                                        std::byte* all,
                                                        int64_t stride,
                                                        int32_t root) {
  auto& state = shared_memory<BlockState>();
  if (!begin_turn(view, state)) return;
  const int64_t half = half_offset(view, state);
  auto* const own = reinterpret_cast<Word*>(view.buffers[view.self] + half);
  if (root < 0 || root == view.self) {
    const auto* const words = reinterpret_cast<const Word*>(local);
    for (int64_t i = first_index(); i < num_words; i += index_step()) {
      store_peer(own + i, words[i]);
    }
  }
  if (!meet(view, state, 0, root < 0 ? PeerOperation::kAllGather : PeerOperation::kBroadcast)) {
    return;
  }
#pragma unroll
  for (int32_t rank = 0; rank < kMaxPeers; ++rank) {
    if (rank >= view.n || (root >= 0 && (rank != root || root == view.self))) continue;
    const auto* const from = reinterpret_cast<const Word*>(view.buffers[rank] + half);
    auto* const to = reinterpret_cast<Word*>(all + (root < 0 ? rank * stride : 0));
    for (int64_t i = first_index(); i < num_words; i += index_step()) {
      to[i] = load_peer(from + i);
    }
  }
  end_turn(view, state);
}

template <class E>
__global__ void __launch_bounds__(kThreads) add_parts(
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

int32_t blocks_for(int64_t items, int32_t max_blocks) {
  const int64_t wanted = (items + kThreads - 1) / kThreads;
  return static_cast<int32_t>(std::clamp<int64_t>(wanted, 1, max_blocks));
}

// A block waits for its twins, so none of them may wait for room: the launch is cooperative. Where
// ranks share a device, of this communicator or of others, their launches must run beside one
// another, which nothing promises of cooperative ones; there all of them fit at once.
LaunchConfig peer_launch(const PeerView& view, int32_t blocks) {
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(blocks), 1, 1};
  config.block = {kThreads, 1, 1};
  config.shared_bytes = sizeof(BlockState);
  config.cooperative = !view.shares_device;
  return config;
}

template <class E>
void reduce(CudaQueue& queue, const PeerView& view, std::byte* data, int64_t bytes) {
  const PeerReduceLaunch chosen = choose_peer_reduce(bytes, view.n, view.max_blocks);
  const LaunchConfig config = peer_launch(view, chosen.blocks);
  if (chosen.is_two_shot) {
    launch(queue, "all_reduce in two shots", reduce_in_two_shots<E>, config, view, data, bytes);
  } else {
    launch(queue, "all_reduce in one shot", reduce_in_one_shot<E>, config, view, data, bytes);
  }
}

template <class Word>
void share(CudaQueue& queue,
           const PeerView& view,
           const std::byte* local,
           int64_t bytes,
           std::byte* all,
           int64_t stride,
           int32_t root) {
  const auto num_words = bytes / static_cast<int64_t>(sizeof(Word));
  const LaunchConfig config = peer_launch(view, blocks_for(num_words, view.max_blocks));
  launch(queue,
         root < 0 ? "all_gather" : "broadcast",
         share_words<Word>,
         config,
         view,
         local,
         num_words,
         all,
         stride,
         root);
}

// The widest words on whose multiples all of these stand.
int32_t word_bytes(const std::byte* local, const std::byte* all, int64_t bytes, int64_t stride) {
  const uint64_t bits = reinterpret_cast<uint64_t>(local) | reinterpret_cast<uint64_t>(all) |
                        static_cast<uint64_t>(bytes) | static_cast<uint64_t>(stride);
  return bits % 16 == 0 ? 16 : bits % 4 == 0 ? 4 : 1;
}

template <class E>
void add(CudaQueue& queue, const std::byte* parts, int64_t stride, int32_t num_parts, Tensor out) {
  LaunchConfig config;
  const int64_t packs = (out.bytes() + kPackBytes - 1) / kPackBytes;
  config.grid = {static_cast<unsigned>(blocks_for(packs, queue.num_blocks())), 1, 1};
  config.block = {kThreads, 1, 1};
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

template <class... Kernels>
cudaError_t load(Kernels... kernels) {
  cudaError_t error = cudaSuccess;
  for (const cudaError_t result : {allow_shared_memory(kernels, sizeof(BlockState))...}) {
    if (error == cudaSuccess) error = result;
  }
  return error;
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
  const int64_t of_a_rank = chosen.is_two_shot ? (packs + num_ranks - 1) / num_ranks : packs;
  chosen.blocks = blocks_for(of_a_rank, std::min(max_blocks, kMaxPeerBlocks));
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

void peer_all_gather(CudaQueue& queue,
                     const PeerView& view,
                     const std::byte* local,
                     int64_t bytes,
                     std::byte* all,
                     int64_t stride) {
  CHECK(view.n > 0 && bytes <= view.half_bytes);
  if (bytes == 0) return;
  const int32_t width = word_bytes(local, all, bytes, stride);
  if (width == 16) {
    share<uint4>(queue, view, local, bytes, all, stride, -1);
  } else if (width == 4) {
    share<uint32_t>(queue, view, local, bytes, all, stride, -1);
  } else {
    share<uint8_t>(queue, view, local, bytes, all, stride, -1);
  }
}

void peer_broadcast(
    CudaQueue& queue, const PeerView& view, std::byte* data, int64_t bytes, int32_t root) {
  CHECK(view.n > 0 && bytes <= view.half_bytes);
  if (bytes == 0) return;
  const int32_t width = word_bytes(data, data, bytes, 0);
  if (width == 16) {
    share<uint4>(queue, view, data, bytes, data, 0, root);
  } else if (width == 4) {
    share<uint32_t>(queue, view, data, bytes, data, 0, root);
  } else {
    share<uint8_t>(queue, view, data, bytes, data, 0, root);
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

cudaError_t prepare_peer_reduce() {
  return load(reduce_in_one_shot<Fp32>,
              reduce_in_one_shot<Bf16>,
              reduce_in_one_shot<Fp16>,
              reduce_in_two_shots<Fp32>,
              reduce_in_two_shots<Bf16>,
              reduce_in_two_shots<Fp16>,
              share_words<uint4>,
              share_words<uint32_t>,
              share_words<uint8_t>,
              add_parts<Fp32>,
              add_parts<Bf16>,
              add_parts<Fp16>);
}

}  // namespace trireme::cuda

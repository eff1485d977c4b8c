// The protocol of one collective among ranks that see one another's memory (PeerView): a turn is
// one operation of a communicator, and its blocks meet the peers' blocks of equal index.
//
// A rank writes its data to its own buffer, meets the others, and reads theirs. Meeting: block b of
// every rank writes turn + 1 to a flag at each peer (release) and waits for the peers' flags
// (acquire), so whatever the peers' blocks b wrote before is visible to block b afterwards.
// Flags alternate with the turn, so that a peer one turn ahead does not overwrite a flag that is
// not yet seen. The two halves of the buffer alternate too, which saves a meeting at the end: a
// rank that comes back to a half has met its peers in the turn between, so they have left the turn
// that used this half before.
// Every wait ends: at the flag, at the host's abort word, or after view.wait_limit_ns.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/peer_view.h"

namespace trireme::cuda {

constexpr int32_t kPeerThreads = 512;
constexpr uint32_t kLooksPerCheck = 64;  // reads of a flag per check of the abort word and clock

// Shared memory of a block.
struct BlockState {
  uint32_t turn;
  uint32_t has_stopped;
};

// The elements of this thread: first_index(), first_index() + index_step(), ...
__device__ __forceinline__ int64_t first_index() {
  return static_cast<int64_t>(blockIdx.x) * kPeerThreads + threadIdx.x;
}
__device__ __forceinline__ int64_t index_step() {
  return static_cast<int64_t>(gridDim.x) * kPeerThreads;
}

// False if an earlier operation timed out or was aborted; equal for every thread of the block.
__device__ __forceinline__ bool begin_turn(const PeerView& view, BlockState& state) {
  dependency_wait();
  if (threadIdx.x == 0) {
    state.turn = view.turn->turn;
    state.has_stopped = view.turn->has_stopped;
  }
  __syncthreads();
  return state.has_stopped == 0;
}

// Gives up: reports the peer to the host and makes all later operations do nothing.
__device__ __forceinline__ void stop(const PeerView& view,
                                     BlockState& state,
                                     PeerOperation operation,
                                     int32_t peer) {
  state.has_stopped = 1;
  view.turn->has_stopped = 1;
  store_release_system(view.report, PeerReport{operation, peer}.word());
}

// Spins until `peer` has set the flag for this turn; stops at the abort word or the time limit.
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

// Returns once the blocks of this index of all ranks have come and their earlier writes are
// visible. False: one did not come within the limit.
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

// The last block to end advances the turn: all blocks have read it by then.
__device__ __forceinline__ void end_turn(const PeerView& view, const BlockState& state) {
  if (threadIdx.x != 0) return;
  if (add_acquire_release(&view.turn->finished_blocks, 1) != gridDim.x - 1) return;
  view.turn->finished_blocks = 0;
  view.turn->turn = state.turn + 1;
}

// Offset of the half of the buffers that this turn uses.
__device__ __forceinline__ int64_t half_offset(const PeerView& view, const BlockState& state) {
  return (state.turn & 1) != 0 ? view.half_bytes : 0;
}

// Blocks for one item per thread, at least one.
inline int32_t blocks_for(int64_t items, int32_t max_blocks) {
  const int64_t wanted = (items + kPeerThreads - 1) / kPeerThreads;
  return static_cast<int32_t>(std::clamp<int64_t>(wanted, 1, max_blocks));
}

// A block waits for the peers' blocks, so all blocks of a launch, and of the launches of all ranks
// that share the device, must be resident at once, and must leave room to the kernels that the
// waiting ranks wait for: max_blocks is at most a rank's share of the multiprocessors, each of
// which holds a block (asked when the communicator is made). The launch is plain: a cooperative one
// promises no more, and costs time.
inline LaunchConfig peer_launch(int32_t blocks) {
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(blocks), 1, 1};
  config.block = {kPeerThreads, 1, 1};
  config.shared_bytes = sizeof(BlockState);
  return config;
}

// Loads a kernel's module, and lowers `resident_blocks`, unless it is 0, to the blocks of this
// kernel, of `shared_bytes` of shared memory each, that an SM holds.
template <class Kernel>
cudaError_t load_peer_kernel(Kernel kernel,
                             int32_t& resident_blocks,
                             size_t shared_bytes = sizeof(BlockState)) {
  cudaError_t error = allow_shared_memory(kernel, shared_bytes);
  int32_t blocks = 0;
  if (error == cudaSuccess) error = ask_resident_blocks(kernel, kPeerThreads, shared_bytes, blocks);
  if (error != cudaSuccess) return error;
  resident_blocks = resident_blocks == 0 ? blocks : std::min(resident_blocks, blocks);
  return cudaSuccess;
}

// Several kernels (prepare_peer_reduce()); the first error, if any.
template <class... Kernels>
cudaError_t load_peer_kernels(int32_t& resident_blocks, Kernels... kernels) {
  cudaError_t error = cudaSuccess;
  for (const cudaError_t result : {load_peer_kernel(kernels, resident_blocks)...}) {
    if (error == cudaSuccess) error = result;
  }
  return error;
}

}  // namespace trireme::cuda

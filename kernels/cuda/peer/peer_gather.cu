// All-gather and broadcast among ranks that see one another's memory (protocol: peer_turn.h).
//
//   all[r, :] = local_r[:] for every rank r;  or  data[:] = data_root[:].
//
// Each rank copies its data (a broadcast: the root alone) to its own buffer, meets the others, and
// copies from theirs, in the widest words that the addresses and sizes allow.
//
// Layout: plain bytes; ranks' pieces lie `stride` bytes apart in `all`.
//
// Bound: bytes over the links, (n - 1) B read per rank. Share of peak not yet measured.
#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/peer/peer_gather.h"
#include "kernels/cuda/peer/peer_turn.h"

namespace trireme::cuda {
namespace {

// root < 0: all + r * stride = rank r's words; else `all` of every rank = the root's.
template <class Word>
__global__ void __launch_bounds__(kPeerThreads) share_words(const __grid_constant__ PeerView view,
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

template <class Word>
void share(CudaQueue& queue,
           const PeerView& view,
           const std::byte* local,
           int64_t bytes,
           std::byte* all,
           int64_t stride,
           int32_t root) {
  const auto num_words = bytes / static_cast<int64_t>(sizeof(Word));
  const LaunchConfig config = peer_launch(blocks_for(num_words, view.max_blocks));
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

// Bytes of the widest word that divides both addresses, the size and the stride.
int32_t word_bytes(const std::byte* local, const std::byte* all, int64_t bytes, int64_t stride) {
  const uint64_t bits = reinterpret_cast<uint64_t>(local) | reinterpret_cast<uint64_t>(all) |
                        static_cast<uint64_t>(bytes) | static_cast<uint64_t>(stride);
  return bits % 16 == 0 ? 16 : bits % 4 == 0 ? 4 : 1;
}

}  // namespace

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

cudaError_t prepare_peer_gather(int32_t& resident_blocks) {
  return load_peer_kernels(
      resident_blocks, share_words<uint4>, share_words<uint32_t>, share_words<uint8_t>);
}

}  // namespace trireme::cuda

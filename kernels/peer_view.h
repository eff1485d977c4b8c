// Plain view of the peer memory of ranks on one host, for CUDA kernels that reduce across ranks.
// Owned by the Comm over peer memory that returns it; addresses are valid in this rank.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trireme {

constexpr int32_t kMaxPeers = 8;
constexpr int32_t kMaxPeerBlocks = 36;  // blocks per launch; more were not faster on H200

// Flags of one rank, written by its peers: [turn & 1][phase][block][peer].
constexpr int32_t kPeerPhases = 2;
constexpr int32_t kPeerFlags = 2 * kPeerPhases * kMaxPeerBlocks * kMaxPeers;

// A rank's counter of its operations, in device memory so that replayed graphs advance it.
struct PeerTurn {
  uint32_t turn = 0;
  uint32_t finished_blocks = 0;  // of the running launch
  uint32_t has_stopped = 0;      // an operation timed out: later ones do nothing
};

// n = 0: peer memory is not available.
struct PeerView {
  int32_t n = 0;
  int32_t self = 0;
  int32_t max_blocks = 0;                  // per launch; the same on every rank
  int64_t half_bytes = 0;                  // size of a buffer's two halves, used alternately
  std::byte* buffers[kMaxPeers] = {};      // by rank
  uint32_t* flags[kMaxPeers] = {};         // kPeerFlags words, by rank
  PeerTurn* turn = nullptr;                // this rank's
  const uint32_t* abort = nullptr;         // shared with the host: nonzero ends every wait
  uint64_t* report = nullptr;              // shared with the host: PeerReport of a timeout
  uint64_t wait_limit_ns = 1'000'000'000;  // per wait
};

enum class PeerOperation : uint32_t { kNone, kAllReduce, kAllGather, kBroadcast, kGatherRows };

// Operation and peer for which a kernel's wait timed out, packed into one word.
struct PeerReport {
  PeerOperation operation = PeerOperation::kNone;
  int32_t peer = 0;

  constexpr uint64_t word() const {
    return uint64_t{static_cast<uint32_t>(operation)} << 32 | static_cast<uint32_t>(peer);
  }
  static constexpr PeerReport of(uint64_t word) {
    return {static_cast<PeerOperation>(word >> 32), static_cast<int32_t>(word & 0xffffffff)};
  }
};

}  // namespace trireme

// A plain view of the memory of the ranks that share a host, for kernels that reduce across them by
// themselves (CUDA). Owner: a Comm over peer memory, which hands it out; addresses are this
// rank's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trireme {

constexpr int32_t kMaxPeers = 8;
constexpr int32_t kMaxPeerBlocks = 36;  // blocks of a launch; more gain nothing (gpu-kernels)

// Words of one rank that its peers' flags come to: [turn & 1][phase][block][peer].
constexpr int32_t kPeerPhases = 2;
constexpr int32_t kPeerFlags = 2 * kPeerPhases * kMaxPeerBlocks * kMaxPeers;

// A rank's own count of its operations, in device memory so that a recorded step goes on with it.
struct PeerTurn {
  uint32_t turn = 0;
  uint32_t finished_blocks = 0;  // of the launch that runs
  uint32_t has_stopped = 0;      // an operation gave up: later ones do nothing
};

// n = 0: not available.
struct PeerView {
  int32_t n = 0;
  int32_t self = 0;
  bool shares_device = false;              // a device has several ranks of the group
  int32_t max_blocks = 0;                  // of a launch; the same on every rank
  int64_t half_bytes = 0;                  // a buffer has two halves, used in turn
  std::byte* buffers[kMaxPeers] = {};      // by rank
  uint32_t* flags[kMaxPeers] = {};         // kPeerFlags words, by rank
  PeerTurn* turn = nullptr;                // this rank's
  const uint32_t* abort = nullptr;         // shared with the host: not 0 ends every wait
  uint64_t* report = nullptr;              // shared with the host: a PeerReport of what gave up
  uint64_t wait_limit_ns = 1'000'000'000;  // of one wait
};

enum class PeerOperation : uint32_t { kNone, kAllReduce, kAllGather, kBroadcast };

// What a kernel waited for in vain, in one word.
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

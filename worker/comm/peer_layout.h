// Layout of the memory of PeerComm: a rank's arena on its device, and the words that it shares with
// the host.
#pragma once

#include <cstdint>

#include "kernels/buffer.h"
#include "kernels/peer_view.h"
#include "kernels/tensor.h"
#include "worker/comm/peer_comm.h"

namespace trireme {

inline int64_t peer_aligned(int64_t bytes) { return aligned(bytes, 256); }

// Of the words of messages of a rank among `size`: uint32 [size] arrived, by sender; uint32 [size]
// taken, by receiver.
inline int64_t words_bytes(int size) { return 2 * int64_t{size} * int64_t{sizeof(uint32_t)}; }

// Layout of an arena, as byte offsets.
struct PeerLayout {
  int64_t turn;
  int64_t words;
  int64_t halves;
  int64_t slots;

  PeerLayout(const PeerCommOptions& options, int size)
      : turn(peer_aligned(kPeerFlags * int64_t{sizeof(uint32_t)})),
        words(turn + peer_aligned(sizeof(PeerTurn))),
        halves(words + peer_aligned(words_bytes(size))),
        slots(halves + 2 * peer_aligned(options.reduce_bytes)) {}
};

// Memory shared with the host: the words of PeerView, followed by a copy of the arena's words.
struct SharedWords {
  uint32_t abort = 0;
  uint64_t report = 0;
};

inline SharedWords& words_of(const Buffer& shared) {
  return *reinterpret_cast<SharedWords*>(shared.data());
}

inline uint32_t* copies_of(const Buffer& shared) {
  return reinterpret_cast<uint32_t*>(shared.data() + sizeof(SharedWords));
}

// Rings of slots in the arena of `rank`.
inline int num_senders(PeerMessages messages, int rank, int size) {
  switch (messages) {
    case PeerMessages::kNone:
      return 0;
    case PeerMessages::kToNext:
      return rank > 0 ? 1 : 0;
    case PeerMessages::kLastToFirst:
      return rank == 0 ? 1 : 0;
    case PeerMessages::kAll:
      return size;
  }
  return 0;
}

}  // namespace trireme

// What the pure functions that pick launches know of the device at hand: which of a kernel's shapes
// fit its shared memory, and how many blocks an SM holds. Chosen and asked once, when the backend
// is made.
#pragma once

#include <bit>
#include <cstdint>
#include <iterator>

namespace trireme::cuda {

// What every GPU from sm_80 on gives a block (sm_86, sm_89 and sm_120 no more): each kernel can be
// launched with as much or less.
constexpr int64_t kMinSharedBytes = 99 * 1024;

// Blocks of the tile kernel that an SM holds at once, by the tile's tokens (without folds).
struct TileResidency {
  int32_t blocks[6] = {1, 1, 1, 1, 1, 1};  // of 8, 16, 32, 64, 128, 256

  constexpr int32_t& of(int32_t tile_tokens) { return blocks[index_of(tile_tokens)]; }
  constexpr int32_t of(int32_t tile_tokens) const { return blocks[index_of(tile_tokens)]; }

 private:
  static constexpr int32_t index_of(int32_t tile_tokens) {
    return std::countr_zero(static_cast<uint32_t>(tile_tokens)) - 3;
  }
};

enum AttentionKernel : int32_t { kPrefillKernel = 0, kDecodeKernel = 1 };

// How the kernel of one stored width runs on the device at hand. Lean is what fits every device: a
// decode block has a shorter ring; a prefill block keeps, under --invariant, the O of the cuts
// behind it in the workspace. No bit depends on it.
struct AttentionFit {
  bool is_lean = false;
  int32_t shared_bytes = 0;   // of a launch
  int32_t run_bytes = 0;      // of the workspace, a block: at its end, behind the partials
  int32_t blocks_per_sm = 1;  // that the device holds at once
};

// What the backend's options and device choose, kept from its start on.
constexpr int32_t kAttentionWidths[] = {64, 80, 96, 128, 256};
struct AttentionFits {
  AttentionFit of_width[std::size(kAttentionWidths)][2];  // by kernel

  auto& of(int32_t stored_dim) { return of_width[index_of(stored_dim)]; }
  const auto& of(int32_t stored_dim) const { return of_width[index_of(stored_dim)]; }

 private:
  static constexpr size_t index_of(int32_t stored_dim) {
    size_t index = 0;
    while (kAttentionWidths[index] != stored_dim) ++index;
    return index;
  }
};

}  // namespace trireme::cuda

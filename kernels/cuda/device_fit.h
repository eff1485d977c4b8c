// Facts about the device that the launch choices depend on: which variant of a kernel fits its
// shared memory, and how many blocks an SM holds. Determined once, when the backend is made; const
// afterwards.
#pragma once

#include <bit>
#include <cstdint>
#include <iterator>

namespace trireme::cuda {

// Shared memory that every GPU from sm_80 on gives a block (the maximum of sm_86, sm_89 and
// sm_120); each kernel has a variant that needs no more.
constexpr int64_t kMinSharedBytes = 99 * 1024;

// Blocks of the tile kernel that an SM holds at once, by tokens of the tile (instances without
// folds).
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

// The variant of one attention kernel and stored width for this device. The lean variant fits every
// device: a decode block has a shorter ring; a prefill block keeps, under --invariant, the
// accumulated O in the workspace instead of shared memory. Both variants give the same bits.
struct AttentionFit {
  bool is_lean = false;
  int32_t shared_bytes = 0;   // per launch
  int32_t run_bytes = 0;      // per block, at the end of the workspace, behind the partials
  int32_t blocks_per_sm = 1;  // resident at once
};

// The variants chosen by the backend's options and device, by stored width.
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

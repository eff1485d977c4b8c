// How the sampling kernels divide rows into parts, one per block, and where their intermediate
// tables lie: from the start of the workspace, each 256-byte aligned. The division follows from the
// width alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/step_memory.h"
#include "kernels/sampling_row.h"

namespace trireme::cuda {

constexpr int32_t kAdjustIds = 8192;  // their counts fill 32 KiB of shared memory
constexpr int32_t kDrawIds = 4096;    // 256 threads, four groups of four ids
constexpr int32_t kScaleIds = 4096;
constexpr int32_t kCountIds = 2048;    // as many masses of 21 bits fit a sum of 32
constexpr int32_t kLogprobIds = 4096;  // 256 threads, sixteen ids in registers
constexpr int32_t kBuckets = 1 << 11;

// Rows processed together: those of a pass of the head, 25 KB of scratch each. More rows follow in
// turns.
constexpr int64_t kTurnRows = kHeadRows;

constexpr int32_t parts_of(int64_t ids, int64_t part) {
  return static_cast<int32_t>((ids + part - 1) / part);
}

// Noise is generated for four ids at a time, beginning at a multiple of four.
constexpr int32_t num_draw_parts(int64_t width, int64_t first_id) {
  return parts_of(width + first_id % 4, kDrawIds);
}

// The ids of a row that may be drawn: those whose rank is at least `threshold` and whose distance
// from the maximum, x - maximum, is at least `min_distance`.
struct RowFilter {
  uint64_t threshold = 0;
  double min_distance = 0;
  float maximum = 0;
  int32_t has_min_distance = 0;
};

constexpr int64_t align_256(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// Offsets of draw_whole's tables.
struct DrawLayout {
  int64_t parts = 0;    // uint64 [rows, draw parts] best ranks
  int64_t maxima = 0;   // uint32 [rows, scale parts] greatest keys
  int64_t counts = 0;   // uint32 [rows, kBuckets] ids in a bucket
  int64_t masses = 0;   // uint64 [rows, kBuckets] their mass
  int64_t filters = 0;  // RowFilter [rows]
  int64_t bytes = 0;
};

constexpr DrawLayout draw_layout(int64_t rows, int64_t width) {
  DrawLayout layout;
  layout.maxima = layout.parts + align_256(rows * num_draw_parts(width, 3) * 8);
  layout.counts = layout.maxima + align_256(rows * parts_of(width, kScaleIds) * 4);
  layout.masses = layout.counts + align_256(rows * kBuckets * 4);
  layout.filters = layout.masses + align_256(rows * kBuckets * 8);
  layout.bytes = layout.filters + align_256(rows * static_cast<int64_t>(sizeof(RowFilter)));
  return layout;
}

// A part's contribution to the log-softmax: its maximum, and the sum of e^(x - maximum).
struct PartSum {
  float maximum = 0;
  float sum = 0;
};

struct LogprobLayout {
  int64_t sums = 0;  // PartSum [rows, parts]
  int64_t tops = 0;  // uint64 [rows, parts, count] ranks, greatest first
  int64_t bytes = 0;
};

constexpr LogprobLayout logprob_layout(int64_t rows, int64_t width, int64_t count) {
  const int64_t parts = rows * parts_of(width, kLogprobIds);
  LogprobLayout layout;
  layout.tops = layout.sums + align_256(parts * static_cast<int64_t>(sizeof(PartSum)));
  layout.bytes = layout.tops + align_256(parts * count * 8);
  return layout;
}

// Workspace bytes of any sampling op.
constexpr int64_t sampling_bytes(int64_t rows, int64_t width) {
  const int64_t together = std::min(rows, kTurnRows);
  return std::max({rows * num_draw_parts(width, 3) * 8,
                   draw_layout(together, width).bytes,
                   logprob_layout(together, width, kMaxTopIds).bytes});
}

}  // namespace trireme::cuda

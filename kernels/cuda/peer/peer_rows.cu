// Gather of rows of logits among ranks that see one another's memory (protocol: peer_turn.h).
//
//   whole[i - first, columns[r] ..) = rank r's local[i, :]  for rows i that need the whole row
//
// One launch takes as many turns as the rows of a step need: no turn at all where no row asks,
// which every rank finds alike from its own copy of the sampling parameters. So a captured step
// contains the launch, whatever its rows ask for.
//
// Layout: the rows that ask, one after another, are one list of words of each rank, of which a turn
// takes as many as half a buffer holds. A word is written and read by threads of equal index, so
// blocks meet the peers' blocks of equal index only. A rank reads the words of its own rows.
//
// Bound: bytes over the links, 4 (n - 1) / n per id of the rows that a rank draws. Share of peak
// not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/peer/peer_rows.h"
#include "kernels/cuda/peer/peer_turn.h"

namespace trireme::cuda {
namespace {

static_assert(kMaxGatheredRows <= kPeerThreads);

struct RowsTask {
  const uint32_t* local;
  int64_t local_stride;
  const SamplingRow* rows;
  int32_t num_rows;
  int32_t first;
  int32_t num_own;
  uint32_t* whole;
  int64_t whole_stride;
  int64_t columns[kMaxPeers + 1];
  int64_t turn_words;
};

struct RowsState {
  BlockState block;
  uint32_t masks[kPeerThreads / 32];  // of the rows that ask, by warp
  int32_t list[kMaxGatheredRows];     // the rows that ask, ascending
};

// Makes the list; returns its size.
__device__ __forceinline__ int32_t list_rows(const RowsTask& task, RowsState& state) {
  const auto row = static_cast<int32_t>(threadIdx.x);
  const int32_t lane = row % 32, warp = row / 32;
  const bool asks = row < task.num_rows && task.rows[row].needs_whole_row();
  const uint32_t mask = __ballot_sync(0xffffffffu, asks);
  if (lane == 0) state.masks[warp] = mask;
  __syncthreads();
  int32_t before = __popc(mask & ((1u << lane) - 1));
  int32_t total = 0;
  for (int32_t other = 0; other < kPeerThreads / 32; ++other) {
    const int32_t count = __popc(state.masks[other]);
    if (other < warp) before += count;
    total += count;
  }
  if (asks) state.list[before] = row;
  __syncthreads();
  return total;
}

// A word of a list of rows of `width` words: the row's place in the list and the column. step()
// moves on by index_step().
struct Word {
  int32_t place;
  int32_t column;
  int32_t width;

  __device__ __forceinline__ Word(int64_t index, int64_t row_width)
      : place(static_cast<uint32_t>(index) / static_cast<uint32_t>(row_width)),
        column(static_cast<uint32_t>(index) % static_cast<uint32_t>(row_width)),
        width(static_cast<int32_t>(row_width)) {}
  __device__ __forceinline__ void step() {
    column += static_cast<int32_t>(index_step());
    while (column >= width) {
      column -= width;
      ++place;
    }
  }
};

// Words [begin, end) of this rank's list go to its half of the buffer, where a turn's words begin
// at 0.
__device__ __forceinline__ void write_words(const RowsTask& task,
                                            const RowsState& state,
                                            int64_t width,
                                            int64_t begin,
                                            int64_t end,
                                            uint32_t* half) {
  int64_t index = begin + first_index();
  if (index >= end) return;
  for (Word word(index, width); index < end; index += index_step(), word.step()) {
    const int64_t row = state.list[word.place];
    store_peer(half + (index - begin), task.local[row * task.local_stride + word.column]);
  }
}

// The words of this rank's own rows among words [begin, end) of a rank's list.
__device__ __forceinline__ void read_words(const RowsTask& task,
                                           const RowsState& state,
                                           int32_t rank,
                                           int64_t begin,
                                           int64_t end,
                                           const uint32_t* half) {
  const int64_t width = task.columns[rank + 1] - task.columns[rank];
  int64_t index = begin + first_index();
  if (index >= end) return;
  for (Word word(index, width); index < end; index += index_step(), word.step()) {
    const int32_t own = state.list[word.place] - task.first;
    if (own < 0 || own >= task.num_own) continue;
    task.whole[own * task.whole_stride + task.columns[rank] + word.column] =
        load_peer(half + (index - begin));
  }
}

__global__ void __launch_bounds__(kPeerThreads)
    share_rows(const __grid_constant__ PeerView view, const __grid_constant__ RowsTask task) {
  auto& state = shared_memory<RowsState>();
  if (!begin_turn(view, state.block)) return;
  const int64_t count = list_rows(task, state);
  if (count == 0) return;
  int64_t widest = 0;
  for (int32_t rank = 0; rank < view.n; ++rank) {
    const int64_t width = task.columns[rank + 1] - task.columns[rank];
    widest = width > widest ? width : widest;
  }
  const auto end_of = [&](int32_t rank, int64_t begin) {
    const int64_t words = count * (task.columns[rank + 1] - task.columns[rank]);
    return words < begin + task.turn_words ? words : begin + task.turn_words;
  };
  const int64_t own_width = task.columns[view.self + 1] - task.columns[view.self];
#pragma unroll 1
  for (int64_t begin = 0;; begin += task.turn_words) {
    const int64_t half = half_offset(view, state.block);
    auto* const own = reinterpret_cast<uint32_t*>(view.buffers[view.self] + half);
    write_words(task, state, own_width, begin, end_of(view.self, begin), own);
    if (!meet(view, state.block, 0, PeerOperation::kGatherRows)) return;
    for (int32_t rank = 0; rank < view.n; ++rank) {
      const auto* const from = reinterpret_cast<const uint32_t*>(view.buffers[rank] + half);
      read_words(task, state, rank, begin, end_of(rank, begin), from);
    }
    if (begin + task.turn_words >= count * widest) break;
    __syncthreads();
    if (threadIdx.x == 0) ++state.block.turn;
    __syncthreads();
  }
  end_turn(view, state.block);
}

}  // namespace

void peer_gather_rows(CudaQueue& queue,
                      const PeerView& view,
                      const Tensor& local,
                      const SamplingRow* rows,
                      int32_t first,
                      const Tensor& whole,
                      std::span<const int64_t> columns) {
  CHECK(view.n > 0 && local.rows <= kMaxGatheredRows && first + whole.rows <= local.rows);
  CHECK(static_cast<int32_t>(columns.size()) == view.n + 1 && columns.back() <= whole.columns);
  CHECK(local.dtype == DType::kFloat32 && whole.dtype == DType::kFloat32);
  CHECK(local.columns == columns[view.self + 1] - columns[view.self]);
  CHECK(local.rows * columns.back() < int64_t{1} << 31);
  if (local.rows == 0) return;
  RowsTask task = {};
  task.local = reinterpret_cast<const uint32_t*>(local.data);
  task.local_stride = local.row_stride;
  task.rows = rows;
  task.num_rows = static_cast<int32_t>(local.rows);
  task.first = first;
  task.num_own = static_cast<int32_t>(whole.rows);
  task.whole = reinterpret_cast<uint32_t*>(whole.data);
  task.whole_stride = whole.row_stride;
  std::ranges::copy(columns, task.columns);
  task.turn_words = view.half_bytes / 4;
  LaunchConfig config = peer_launch(blocks_for(task.turn_words, view.max_blocks));
  config.shared_bytes = sizeof(RowsState);
  launch(queue, "gather_rows", share_rows, config, view, task);
}

cudaError_t prepare_peer_rows(int32_t& resident_blocks) {
  return load_peer_kernel(share_rows, resident_blocks, sizeof(RowsState));
}

}  // namespace trireme::cuda

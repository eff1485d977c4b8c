// draw_whole: temperature, top-k, top-p and min-p over whole rows, then the draw of sample.cu
// (docs/numerics.md, "The draw", steps 4 to 8).
//
// The rank of an id is an integer of 53 bits (token_order.h): the key of its value, then its id.
// top-k and top-p keep all ranks from a threshold up, found by radix selection (select_rank.h). The
// histogram of the first digit is made by many blocks per row, the rest by one block per row. The
// mass of an id is e^(x - maximum) in units of 2^-41, an integer: sums are exact in any order, so
// the kept set depends on the row alone. It is the set of the definition, except that an id may be
// decided differently where the sum before it lies within 2^-22 of the total of top_p times the
// total: e^x is good to 2 ulp of fp32, and 2^21 ids lose less than one unit each.
//
// Layout: one task per row; tables in the workspace by sampling_shape.h. Kernels: scale (divide,
// maximum), count (histogram), select (thresholds), the draw.
//
// Bound: bytes, 4 ids (2 + 1 + up to 3 + 1) per row. Share of peak: not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/block_reduce.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sampling/draw_rows.h"
#include "kernels/cuda/sampling/select_rank.h"
#include "kernels/draw.h"

namespace trireme::cuda {

namespace {

struct FilterTask {
  float* logits;
  int64_t row_stride;
  int32_t width;
  const SamplingRow* rows;
  uint32_t* maxima;  // [rows, num_maxima]
  int32_t num_maxima;
  uint32_t* counts;            // [rows, kBuckets]
  unsigned long long* masses;  // [rows, kBuckets]
  RowFilter* filters;
};

__device__ __forceinline__ bool has_top_k(const SamplingRow& row, int32_t width) {
  return row.top_k > 0 && row.top_k < width;
}

// Divides the logits by the temperature; NaN becomes -inf. Clears the row's histograms.
__global__ void __launch_bounds__(kSampleThreads) scale_part(FilterTask task) {
  dependency_wait();
  auto& warps = shared_memory<uint64_t[kSampleWarps]>();
  const int64_t row_index = blockIdx.y;
  const SamplingRow& row = task.rows[row_index];
  if (!row.needs_whole_row()) return;
  float* logits = task.logits + row_index * task.row_stride;
  const float temperature =
      row.temperature > kLowestTemperature ? row.temperature : kLowestTemperature;
  const int32_t begin = static_cast<int32_t>(blockIdx.x) * kScaleIds;
  const int32_t end = begin + kScaleIds < task.width ? begin + kScaleIds : task.width;
  uint32_t maximum = 0;
#pragma unroll 4
  for (int32_t i = begin + static_cast<int32_t>(threadIdx.x); i < end; i += kSampleThreads) {
    const float logit = logits[i];
    const float x = logit > kNever ? logit / temperature : kNever;
    logits[i] = x;
    const uint32_t key = order_key(x);
    maximum = key > maximum ? key : maximum;
  }
  for (int32_t i = static_cast<int32_t>(blockIdx.x * kSampleThreads + threadIdx.x); i < kBuckets;
       i += static_cast<int32_t>(gridDim.x) * kSampleThreads) {
    task.counts[row_index * kBuckets + i] = 0;
    task.masses[row_index * kBuckets + i] = 0;
  }
  maximum = static_cast<uint32_t>(block_max(maximum, warps));
  if (threadIdx.x == 0) task.maxima[row_index * task.num_maxima + blockIdx.x] = maximum;
}

// The row's maximum, in every thread of the block; kNever if nothing can be drawn.
__device__ __forceinline__ float row_maximum(const FilterTask& task, int64_t row_index) {
  uint64_t key = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x % 32); i < task.num_maxima; i += 32) {
    const uint64_t other = task.maxima[row_index * task.num_maxima + i];
    key = other > key ? other : key;
  }
  return value_of_key(static_cast<uint32_t>(warp_max(key)));
}

struct CountShared {
  uint32_t counts[kBuckets];
  uint32_t low[kBuckets];  // low parts of the masses, kLowBits bits
  uint32_t high[kBuckets];
};

// Adds this block's ids to the row's histograms of the first digit.
__global__ void __launch_bounds__(kSampleThreads) count_part(FilterTask task) {
  dependency_wait();
  auto& shared = shared_memory<CountShared>();
  const int64_t row_index = blockIdx.y;
  const SamplingRow& row = task.rows[row_index];
  const bool has_top_p = row.top_p < 1;
  if (!row.needs_whole_row() || !(has_top_k(row, task.width) || has_top_p)) return;
  const float* logits = task.logits + row_index * task.row_stride;
  const float maximum = row_maximum(task, row_index);
  const int32_t first = static_cast<int32_t>(threadIdx.x);
  for (int32_t i = first; i < kBuckets; i += kSampleThreads) {
    shared.counts[i] = shared.low[i] = shared.high[i] = 0;
  }
  __syncthreads();
  const int32_t begin = static_cast<int32_t>(blockIdx.x) * kCountIds;
  const int32_t end = begin + kCountIds < task.width ? begin + kCountIds : task.width;
#pragma unroll 4
  for (int32_t i = begin + first; i < end; i += kSampleThreads) {
    const float x = logits[i];
    if (!(x > kNever)) continue;
    const uint32_t bucket = order_key(x) >> 21;
    atomicAdd(&shared.counts[bucket], 1u);
    const uint64_t mass = has_top_p ? mass_of(x, maximum) : 0;
    if (mass == 0) continue;
    atomicAdd(&shared.low[bucket], static_cast<uint32_t>(mass) & ((1u << kLowBits) - 1));
    atomicAdd(&shared.high[bucket], static_cast<uint32_t>(mass >> kLowBits));
  }
  __syncthreads();
  for (int32_t i = first; i < kBuckets; i += kSampleThreads) {
    if (shared.counts[i] == 0) continue;
    atomicAdd(&task.counts[row_index * kBuckets + i], shared.counts[i]);
    const uint64_t mass = (static_cast<uint64_t>(shared.high[i]) << kLowBits) + shared.low[i];
    if (mass > 0) atomicAdd(&task.masses[row_index * kBuckets + i], mass);
  }
}

// The rank of the k-th greatest id; 0 if there are at most k.
__device__ __forceinline__ uint64_t select_top_k(const FilterTask& task,
                                                 const SelectRow& row,
                                                 int64_t row_index,
                                                 SelectShared& shared) {
  const auto target = static_cast<uint64_t>(task.rows[row_index].top_k);
  uint64_t sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kBuckets; i += kSelectThreads) {
    const uint32_t count = task.counts[row_index * kBuckets + i];
    shared.counts[i] = count;
    shared.weights[i] = count;
    sum += count;
  }
  if (block_total(sum, shared) <= target) return 0;
  return select_rank<false>(row, target, shared);
}

// The rank of the last id that top_p keeps among those from row.threshold up.
__device__ __forceinline__ uint64_t select_top_p(const FilterTask& task,
                                                 const SelectRow& row,
                                                 int64_t row_index,
                                                 SelectShared& shared) {
  const uint64_t threshold_bucket = row.threshold >> (kRankBits - 11);
  uint64_t cut_mass = 0;  // of the ids kept in the threshold's bucket
  if (row.threshold > 0) {
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.width; i += kSelectThreads) {
      const uint64_t rank = row.rank(i);
      if (rank < row.threshold || rank >> (kRankBits - 11) != threshold_bucket) continue;
      cut_mass += mass_of(row.x[i], row.maximum);
    }
    cut_mass = block_total(cut_mass, shared);
  }
  uint64_t sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kBuckets; i += kSelectThreads) {
    uint64_t mass = task.masses[row_index * kBuckets + i];
    if (row.threshold > 0 && i <= static_cast<int32_t>(threshold_bucket)) {
      mass = i == static_cast<int32_t>(threshold_bucket) ? cut_mass : 0;
    }
    shared.counts[i] = task.counts[row_index * kBuckets + i];
    shared.weights[i] = mass;
    sum += mass;
  }
  const double share = static_cast<double>(task.rows[row_index].top_p) *
                       static_cast<double>(block_total(sum, shared));
  auto target = static_cast<uint64_t>(share);  // an id is kept while the sum before it < share
  if (static_cast<double>(target) < share) ++target;
  return select_rank<true>(row, target > 0 ? target : 1, shared);
}

// One block per row: finds the row's filter.
__global__ void __launch_bounds__(kSelectThreads) select_row(FilterTask task) {
  dependency_wait();
  auto& shared = shared_memory<SelectShared>();
  const int64_t row_index = blockIdx.x;
  const SamplingRow& wishes = task.rows[row_index];
  if (!wishes.needs_whole_row()) return;
  SelectRow row;
  row.x = task.logits + row_index * task.row_stride;
  row.width = task.width;
  row.maximum = row_maximum(task, row_index);
  row.threshold = 0;
  if (row.maximum > kNever && has_top_k(wishes, task.width)) {
    row.threshold = select_top_k(task, row, row_index, shared);
  }
  if (row.maximum > kNever && wishes.top_p < 1) {
    row.threshold = select_top_p(task, row, row_index, shared);
  }
  if (threadIdx.x != 0) return;
  RowFilter filter;
  filter.threshold = row.threshold;
  filter.maximum = row.maximum;
  filter.has_min_distance = wishes.min_p > 0;
  filter.min_distance = filter.has_min_distance ? log(static_cast<double>(wishes.min_p)) : 0.0;
  task.filters[row_index] = filter;
}

LaunchConfig parts_of_rows(int32_t parts, int64_t rows, int64_t shared_bytes) {
  CHECK(rows <= 65535);
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(parts), static_cast<unsigned>(rows), 1};
  config.block.x = kSampleThreads;
  config.shared_bytes = shared_bytes;
  return config;
}

// Draws up to kTurnRows rows.
void draw_turn(CudaQueue& queue,
               const Workspace& workspace,
               const Tensor& logits,
               WholeRows which,
               const SamplingRow* rows,
               ShardDraw* draws) {
  const DrawLayout layout = draw_layout(logits.rows, logits.columns);
  CHECK(workspace.bytes >= layout.bytes);
  const auto width = static_cast<int32_t>(logits.columns);
  FilterTask filter;
  filter.logits = logits.row<float>(0);
  filter.row_stride = logits.row_stride;
  filter.width = width;
  filter.rows = rows;
  filter.maxima = reinterpret_cast<uint32_t*>(workspace.data + layout.maxima);
  filter.num_maxima = parts_of(width, kScaleIds);
  filter.counts = reinterpret_cast<uint32_t*>(workspace.data + layout.counts);
  filter.masses = reinterpret_cast<unsigned long long*>(workspace.data + layout.masses);
  filter.filters = reinterpret_cast<RowFilter*>(workspace.data + layout.filters);
  launch(queue,
         "draw_whole scale",
         scale_part,
         parts_of_rows(filter.num_maxima, logits.rows, sizeof(uint64_t[kSampleWarps])),
         filter);
  launch(queue,
         "draw_whole count",
         count_part,
         parts_of_rows(parts_of(width, kCountIds), logits.rows, sizeof(CountShared)),
         filter);
  LaunchConfig select;
  select.grid.x = static_cast<unsigned>(width > 0 ? logits.rows : 0);
  select.block.x = kSelectThreads;
  select.shared_bytes = sizeof(SelectShared);
  launch(queue, "draw_whole select", select_row, select, filter);
  DrawTask draw;
  draw.logits = filter.logits;
  draw.row_stride = filter.row_stride;
  draw.width = width;
  draw.num_rows = static_cast<int32_t>(logits.rows);
  draw.rows = rows;
  draw.filters = filter.filters;
  draw.only_needed = which == WholeRows::kNeeded;
  draw.parts = reinterpret_cast<uint64_t*>(workspace.data + layout.parts);
  draw.draws = draws;
  draw_rows(queue, draw);
}

}  // namespace

void CudaBackend::draw_whole(Queue& queue,
                             Workspace& workspace,
                             Tensor logits,
                             WholeRows which,
                             const SamplingRow* rows,
                             ShardDraw* draws) {
  CHECK(logits.dtype == DType::kFloat32 && logits.columns <= int64_t{1} << kIdBits);
  for (int64_t first = 0; first < logits.rows; first += kTurnRows) {
    Tensor turn = logits;
    turn.data = reinterpret_cast<std::byte*>(logits.row<float>(first));
    turn.rows = std::min(kTurnRows, logits.rows - first);
    draw_turn(cuda_queue(queue), workspace, turn, which, rows + first, draws + first);
  }
}

static_assert(sizeof(SelectShared) <= kMinSharedBytes);
cudaError_t prepare_sampling() { return allow_shared_memory(select_row, sizeof(SelectShared)); }

}  // namespace trireme::cuda

// The ops that move rows, ids and pages:
//
//   gather_rows   out[i] = in[rows[i]]
//   add           accumulator += other
//   copy_pages    page to[i] = page from[i]
//   feed_ids      token_ids[t] = last[slots[t]] where it is negative and the row is not padding
//   update_table  table[index] = value, for each change (index, value)
//   keep_ids      stores drawn ids by slot: the last one and, where kept, the history
//
// Layout: rows one stride apart, copied in 16-byte units where both ends are aligned to them.
//
// Bound: bytes, twice those moved (three times for add). Share of peak: not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/copy_bytes.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kThreads = 256;
constexpr int64_t kBlockBytes = kThreads * 16 * 4;  // four loads of 16 bytes in flight per thread

// The number of blocks that share a row of `bytes`.
unsigned blocks_of(int64_t bytes) {
  return static_cast<unsigned>(std::clamp<int64_t>((bytes + kBlockBytes - 1) / kBlockBytes, 1, 64));
}

// The share of this thread among those of all blocks along x.
__device__ __forceinline__ CopyShare share_along_x() {
  return {static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x,
          static_cast<int64_t>(gridDim.x) * kThreads};
}

// Rows of a step are numbered along x, the only dimension without a small limit.
__device__ __forceinline__ CopyShare share_along_y() {
  return {static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x,
          static_cast<int64_t>(gridDim.y) * kThreads};
}

struct GatherTask {
  const std::byte* in;
  int64_t in_stride;  // bytes
  const int32_t* rows;
  std::byte* out;
  int64_t out_stride;  // bytes
  int64_t row_bytes;
};

__global__ void __launch_bounds__(kThreads) gather_row(GatherTask task) {
  dependency_wait();
  const int64_t row = blockIdx.x;
  const int64_t from = task.rows == nullptr ? row : task.rows[row];
  copy_bytes(task.out + row * task.out_stride,
             from < 0 ? nullptr : task.in + from * task.in_stride,
             task.row_bytes,
             share_along_y());
}

struct AddTask {
  float* accumulator;
  int64_t accumulator_stride;
  const float* other;
  int64_t other_stride;
  int64_t columns;
  int32_t is_aligned;  // rows of both are 16-byte aligned
};

__global__ void __launch_bounds__(kThreads) add_row(AddTask task) {
  dependency_wait();
  const int64_t row = blockIdx.x;
  float* to = task.accumulator + row * task.accumulator_stride;
  const float* from = task.other + row * task.other_stride;
  const CopyShare share = share_along_y();
  const int64_t whole = task.is_aligned ? task.columns / 4 : 0;
#pragma unroll 4
  for (int64_t i = share.index; i < whole; i += share.count) {
    float4 sum = reinterpret_cast<const float4*>(to)[i];
    const float4 more = reinterpret_cast<const float4*>(from)[i];
    sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
    reinterpret_cast<float4*>(to)[i] = sum;
  }
  for (int64_t i = 4 * whole + share.index; i < task.columns; i += share.count) to[i] += from[i];
}

struct PageTask {
  std::byte* base;
  int64_t page_stride;
  int64_t layer_stride;
  int64_t head_stride;
  int32_t num_heads;
  const int32_t* from;
  const int32_t* to;
};

// Block (y, z): one head of one layer of copy y.
__global__ void __launch_bounds__(kThreads) copy_block(PageTask task) {
  dependency_wait();
  const int64_t layer = blockIdx.z / task.num_heads, head = blockIdx.z % task.num_heads;
  std::byte* block = task.base + layer * task.layer_stride + head * task.head_stride;
  copy_bytes(block + task.to[blockIdx.y] * task.page_stride,
             block + task.from[blockIdx.y] * task.page_stride,
             task.head_stride,
             share_along_x());
}

__global__ void __launch_bounds__(kThreads)
    feed_row(const int32_t* slots, const int32_t* last, int32_t* token_ids, int32_t num_tokens) {
  dependency_wait();
  const int64_t row = share_along_x().index;
  if (row >= num_tokens) return;
  const int32_t slot = slots[row];
  if (slot >= 0 && token_ids[row] < 0) token_ids[row] = last[slot];
}

__global__ void __launch_bounds__(kThreads)
    update_entry(int32_t* table, const int32_t* changes, int32_t max_changes) {
  dependency_wait();
  const int64_t i = share_along_x().index;
  if (i >= max_changes || i >= changes[0]) return;
  table[changes[1 + 2 * i]] = changes[2 + 2 * i];
}

struct KeepTask {
  const int32_t* ids;
  const int32_t* slots;
  const int32_t* places;
  int32_t count;
  SlotIds kept;
};

__global__ void __launch_bounds__(kThreads) keep_id(KeepTask task) {
  dependency_wait();
  const int64_t i = share_along_x().index;
  if (i >= task.count) return;
  const int64_t slot = task.slots[i];
  const int32_t id = task.ids[i];
  if (slot < 0 || id < 0) return;
  task.kept.last[slot] = id;
  if (task.kept.history == nullptr || task.places == nullptr) return;
  const int64_t place = task.places[i];
  if (place < 0 || place >= task.kept.history_stride) return;
  task.kept.history[slot * task.kept.history_stride + place] = id;
}

unsigned blocks_of_threads(int32_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

LaunchConfig blocks(int64_t x, int64_t y = 1, int64_t z = 1) {
  CHECK(x < int64_t{1} << 31 && y <= 65535 && z <= 65535);
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z)};
  config.block.x = kThreads;
  return config;
}

}  // namespace

void CudaBackend::gather_rows(Queue& queue, Tensor in, const int32_t* rows, Tensor out) {
  CHECK(in.dtype == out.dtype && in.columns == out.columns);
  const int64_t unit = size_of(in.dtype);
  GatherTask task;
  task.in = in.data;
  task.in_stride = in.row_stride * unit;
  task.rows = rows;
  task.out = out.data;
  task.out_stride = out.row_stride * unit;
  task.row_bytes = in.columns * unit;
  const LaunchConfig config = blocks(out.rows, blocks_of(task.row_bytes));
  launch(cuda_queue(queue), "gather_rows", gather_row, config, task);
}

void CudaBackend::add(Queue& queue, Tensor accumulator, Tensor other) {
  CHECK(accumulator.dtype == DType::kFloat32 && other.dtype == DType::kFloat32);
  CHECK(accumulator.rows == other.rows && accumulator.columns == other.columns);
  const auto alignment = reinterpret_cast<uintptr_t>(accumulator.data) |
                         reinterpret_cast<uintptr_t>(other.data) |
                         static_cast<uintptr_t>(4 * (accumulator.row_stride | other.row_stride));
  AddTask task;
  task.accumulator = accumulator.row<float>(0);
  task.accumulator_stride = accumulator.row_stride;
  task.other = other.row<float>(0);
  task.other_stride = other.row_stride;
  task.columns = accumulator.columns;
  task.is_aligned = alignment % 16 == 0;
  const LaunchConfig config = blocks(accumulator.rows, blocks_of(4 * task.columns));
  launch(cuda_queue(queue), "add", add_row, config, task);
}

void CudaBackend::copy_pages(
    Queue& queue, const KvPages& pages, const int32_t* from, const int32_t* to, int32_t count) {
  PageTask task;
  task.base = pages.base;
  task.page_stride = pages.page_stride;
  task.layer_stride = pages.layer_stride;
  task.head_stride = pages.head_stride;
  task.num_heads = pages.num_heads;
  task.from = from;
  task.to = to;
  const LaunchConfig config = blocks(blocks_of(pages.head_stride),
                                     count,
                                     static_cast<int64_t>(pages.num_layers) * pages.num_heads);
  launch(cuda_queue(queue), "copy_pages", copy_block, config, task);
}

void CudaBackend::feed_ids(Queue& queue,
                           const BatchView& batch,
                           const int32_t* last,
                           int32_t* token_ids) {
  const LaunchConfig config = blocks(blocks_of_threads(batch.num_tokens));
  launch(cuda_queue(queue),
         "feed_ids",
         feed_row,
         config,
         batch.slots,
         last,
         token_ids,
         batch.num_tokens);
}

void CudaBackend::update_table(Queue& queue,
                               int32_t* table,
                               const int32_t* changes,
                               int32_t max_changes) {
  launch(cuda_queue(queue),
         "update_table",
         update_entry,
         blocks(blocks_of_threads(max_changes)),
         table,
         changes,
         max_changes);
}

void CudaBackend::keep_ids(Queue& queue,
                           const int32_t* ids,
                           const int32_t* slots,
                           const int32_t* places,
                           int32_t count,
                           const SlotIds& kept) {
  const KeepTask task = {ids, slots, places, count, kept};
  launch(cuda_queue(queue), "keep_ids", keep_id, blocks(blocks_of_threads(count)), task);
}

}  // namespace trireme::cuda

// adjust_logits, draw_shard and best_of_shards (docs/numerics.md, "The draw", steps 1 to 4 and 8).
//
// adjust_logits: a block takes kAdjustIds ids of a row, counts in shared memory the entries of the
// history that are among them, and applies penalties, bias and bans. Each block reads the whole
// history. Bound: bytes, 4 (2 ids + history ids / 8192) per row.
//
// The draw: draws[t] = argmax over ids of x / temperature + gumbel_noise (Gumbel-max;
// kernels/draw.h). A block takes kDrawIds ids and writes the rank of its best; then a warp takes
// the maximum over the parts of a row. Maxima of ranks do not depend on their order, so neither the
// division into parts nor the batch matters. Bound: ten Philox rounds per four ids and two
// logarithms per id; bytes, 4 per id.
//
// Layout: sampling_shape.h. Share of peak: not yet measured.
#include <limits>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/block_reduce.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sampling/draw_rows.h"
#include "kernels/cuda/sampling/token_order.h"
#include "kernels/draw.h"

namespace trireme::cuda {

namespace {

constexpr uint32_t kSeen = 1u << 30;  // above any count

struct AdjustTask {
  float* logits;
  int64_t row_stride;
  int32_t width;
  int64_t first_id;
  int64_t vocabulary;
  const SamplingRow* rows;
};

struct AdjustShared {
  uint32_t counts[kAdjustIds];  // of output ids; kSeen for prompt ids
};

// The ids of one row that a block handles.
struct AdjustPart {
  float* logits;
  int64_t first_id;
  int32_t width;
  __device__ __forceinline__ bool has(int32_t id) const {
    return id >= first_id && id < first_id + width;
  }
};

__device__ __forceinline__ void apply_penalties(const SamplingRow& row,
                                                const AdjustPart& part,
                                                AdjustShared& shared) {
  const int32_t first = static_cast<int32_t>(threadIdx.x);
  for (int32_t i = first; i < part.width; i += kSampleThreads) shared.counts[i] = 0;
  __syncthreads();
#pragma unroll 4
  for (int32_t i = first; i < row.num_history; i += kSampleThreads) {
    const int32_t id = row.history[i];
    if (!part.has(id)) continue;
    uint32_t* count = &shared.counts[id - part.first_id];
    if (i < row.num_prompt) {
      atomicOr(count, kSeen);
    } else {
      atomicAdd(count, 1u);
    }
  }
  __syncthreads();
  for (int32_t i = first; i < part.width; i += kSampleThreads) {
    if (shared.counts[i] == 0) continue;
    float logit = part.logits[i];
    logit = logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
    const uint32_t count = shared.counts[i] & ~kSeen;
    if (count > 0) {
      logit -= row.frequency_penalty * static_cast<float>(count) + row.presence_penalty;
    }
    part.logits[i] = logit;
  }
}

// The first bias entry of an id adds all entries of that id, in their order.
__device__ __forceinline__ void add_bias(const SamplingRow& row, const AdjustPart& part) {
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.num_bias; i += kSampleThreads) {
    const int32_t id = row.bias_ids[i];
    if (!part.has(id)) continue;
    bool is_first = true;
    for (int32_t j = 0; j < i && is_first; ++j) is_first = row.bias_ids[j] != id;
    if (!is_first) continue;
    float logit = part.logits[id - part.first_id];
    for (int32_t j = i; j < row.num_bias; ++j) {
      if (row.bias_ids[j] == id) logit += row.bias_values[j];
    }
    part.logits[id - part.first_id] = logit;
  }
}

__global__ void __launch_bounds__(kSampleThreads) adjust_part(AdjustTask task) {
  dependency_wait();
  const SamplingRow& row = task.rows[blockIdx.y];
  const int32_t begin = static_cast<int32_t>(blockIdx.x) * kAdjustIds;
  const int32_t left = task.width - begin;
  const AdjustPart part = {task.logits + blockIdx.y * task.row_stride + begin,
                           task.first_id + begin,
                           left < kAdjustIds ? left : kAdjustIds};
  if (row.has_penalty()) {
    apply_penalties(row, part, shared_memory<AdjustShared>());
    __syncthreads();
  }
  if (row.num_bias > 0) {
    add_bias(row, part);
    __syncthreads();
  }
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.num_banned; i += kSampleThreads) {
    if (part.has(row.banned_ids[i])) part.logits[row.banned_ids[i] - part.first_id] = kNever;
  }
  const int64_t past = task.vocabulary - part.first_id;  // the rest is padding of the head
  for (int64_t i = (past > 0 ? past : 0) + threadIdx.x; i < part.width; i += kSampleThreads) {
    part.logits[i] = kNever;
  }
}

struct DrawShared {
  uint64_t warps[kSampleWarps];
};

// Four consecutive ids and which of them the row allows.
struct DrawGroup {
  float logits[4];
  bool is_kept[4];
};

__device__ __forceinline__ bool read_group(const DrawTask& task,
                                           const float* logits,
                                           const RowFilter* filter,
                                           int32_t column,
                                           DrawGroup& group) {
  bool any = false;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int32_t at = column + i;
    const bool is_here = at >= 0 && at < task.width;
    const float logit = is_here ? logits[at] : kNever;
    bool kept = logit > kNever;
    if (filter != nullptr && kept) {
      kept = rank_of(logit, at) >= filter->threshold;
      const double distance = static_cast<double>(logit - filter->maximum);
      if (filter->has_min_distance && distance < filter->min_distance) kept = false;
    }
    group.logits[i] = logit;
    group.is_kept[i] = kept;
    any = any || kept;
  }
  return any;
}

// The best id of a group by score; a score of -inf or NaN draws nothing.
__device__ __forceinline__ uint64_t best_of_group(const SamplingRow& row,
                                                  float temperature,
                                                  int32_t column,
                                                  uint32_t id_block,
                                                  const DrawGroup& group) {
  PhiloxBlock words = {};
  const bool is_greedy = row.temperature == 0;
  if (!is_greedy) words = draw_words(row.seed, row.choice, row.token_index, id_block);
  uint64_t best = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (!group.is_kept[i]) continue;
    float score = group.logits[i];
    if (!is_greedy) score = score / temperature + gumbel_noise(words[i]);
    if (!(score > kNever)) continue;
    const uint64_t rank = rank_of(score, column + i);
    best = rank > best ? rank : best;
  }
  return best;
}

__global__ void __launch_bounds__(kSampleThreads) draw_part(DrawTask task) {
  dependency_wait();
  auto& shared = shared_memory<DrawShared>();
  const int64_t row_index = blockIdx.y;
  const SamplingRow& row = task.rows[row_index];
  const float* logits = task.logits + row_index * task.row_stride;
  const bool needs_whole = row.needs_whole_row();
  const bool is_left_out = task.filters == nullptr ? needs_whole : task.only_needed && !needs_whole;
  if (is_left_out) {
    if (threadIdx.x == 0) task.parts[row_index * gridDim.x + blockIdx.x] = 0;
    return;
  }
  const bool is_filtered = task.filters != nullptr && needs_whole;
  const RowFilter* filter = is_filtered ? task.filters + row_index : nullptr;
  const float lowest = row.temperature > kLowestTemperature ? row.temperature : kLowestTemperature;
  const float temperature = is_filtered ? 1.0f : lowest;
  const int32_t shift = static_cast<int32_t>(task.first_id % 4);
  const auto first_block = static_cast<uint32_t>(task.first_id / 4);
  uint64_t best = 0;
#pragma unroll 1
  for (int32_t i = 0; i < kDrawIds / 4; i += kSampleThreads) {
    const int32_t index = static_cast<int32_t>(blockIdx.x * (kDrawIds / 4) + threadIdx.x) + i;
    const int32_t column = 4 * index - shift;
    DrawGroup group;
    if (column >= task.width || !read_group(task, logits, filter, column, group)) continue;
    const uint64_t rank =
        best_of_group(row, temperature, column, first_block + static_cast<uint32_t>(index), group);
    best = rank > best ? rank : best;
  }
  best = block_max(best, shared.warps);
  if (threadIdx.x == 0) task.parts[row_index * gridDim.x + blockIdx.x] = best;
}

// One warp per row.
__global__ void __launch_bounds__(kSampleThreads) elect_part(DrawTask task, int32_t num_parts) {
  dependency_wait();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kSampleWarps + threadIdx.x / 32;
  if (row >= task.num_rows) return;
  if (task.only_needed && !task.rows[row].needs_whole_row()) return;
  uint64_t best = 0;
  for (int32_t part = static_cast<int32_t>(threadIdx.x % 32); part < num_parts; part += 32) {
    const uint64_t rank = task.parts[row * num_parts + part];
    best = rank > best ? rank : best;
  }
  best = warp_max(best);
  if (threadIdx.x % 32 != 0) return;
  ShardDraw draw;
  draw.value = best == 0 ? kNever : value_of_rank(best);
  draw.id = best == 0 ? -1 : static_cast<int32_t>(task.first_id) + id_of_rank(best);
  task.draws[row] = draw;
}

__global__ void __launch_bounds__(kSampleThreads)
    elect_shard(const ShardDraw* draws, int32_t num_shards, int32_t num_rows, int32_t* ids) {
  dependency_wait();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kSampleThreads + threadIdx.x;
  if (row >= num_rows) return;
  float value = kNever;
  int32_t id = -1;
  for (int64_t shard = 0; shard < num_shards; ++shard) {
    const ShardDraw draw = draws[shard * num_rows + row];
    if (draw.id < 0) continue;
    const bool is_better = id < 0 || draw.value > value || (draw.value == value && draw.id < id);
    value = is_better ? draw.value : value;
    id = is_better ? draw.id : id;
  }
  ids[row] = id;
}

unsigned blocks_of(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

LaunchConfig parts_of_rows(int32_t parts, int64_t rows, int64_t shared_bytes) {
  CHECK(rows <= 65535);
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(parts), static_cast<unsigned>(rows), 1};
  config.block.x = kSampleThreads;
  config.shared_bytes = shared_bytes;
  return config;
}

}  // namespace

void CudaBackend::adjust_logits(Queue& queue,
                                Workspace&,
                                Tensor logits,
                                int64_t first_id,
                                int64_t vocabulary,
                                const SamplingRow* rows) {
  CHECK(logits.dtype == DType::kFloat32 && logits.columns <= int64_t{1} << kIdBits);
  AdjustTask task;
  task.logits = logits.row<float>(0);
  task.row_stride = logits.row_stride;
  task.width = static_cast<int32_t>(logits.columns);
  task.first_id = first_id;
  task.vocabulary = vocabulary;
  task.rows = rows;
  const LaunchConfig config =
      parts_of_rows(parts_of(task.width, kAdjustIds), logits.rows, sizeof(AdjustShared));
  launch(cuda_queue(queue), "adjust_logits", adjust_part, config, task);
}

void draw_rows(CudaQueue& queue, const DrawTask& task) {
  const int32_t parts = num_draw_parts(task.width, task.first_id);
  launch(queue, "draw", draw_part, parts_of_rows(parts, task.num_rows, sizeof(DrawShared)), task);
  LaunchConfig config;
  config.grid.x = blocks_of(task.num_rows, kSampleWarps);
  config.block.x = kSampleThreads;
  launch(queue, "draw election", elect_part, config, task, parts);
}

void CudaBackend::draw_shard(Queue& queue,
                             Workspace& workspace,
                             Tensor logits,
                             int64_t first_id,
                             const SamplingRow* rows,
                             ShardDraw* draws) {
  CHECK(logits.dtype == DType::kFloat32 && logits.columns <= int64_t{1} << kIdBits);
  CHECK(first_id >= 0 && first_id <= std::numeric_limits<int32_t>::max() - logits.columns);
  CHECK(workspace.bytes >= logits.rows * num_draw_parts(logits.columns, first_id) * 8);
  DrawTask task;
  task.logits = logits.row<float>(0);
  task.row_stride = logits.row_stride;
  task.width = static_cast<int32_t>(logits.columns);
  task.num_rows = static_cast<int32_t>(logits.rows);
  task.first_id = first_id;
  task.rows = rows;
  task.parts = reinterpret_cast<uint64_t*>(workspace.data);
  task.draws = draws;
  draw_rows(cuda_queue(queue), task);
}

void CudaBackend::best_of_shards(
    Queue& queue, const ShardDraw* draws, int32_t num_shards, int32_t num_rows, int32_t* ids) {
  LaunchConfig config;
  config.grid.x = blocks_of(num_rows, kSampleThreads);
  config.block.x = kSampleThreads;
  launch(
      cuda_queue(queue), "best_of_shards", elect_shard, config, draws, num_shards, num_rows, ids);
}

int64_t sampling_workspace_bytes(int64_t max_rows, int64_t vocabulary) {
  return sampling_bytes(max_rows, vocabulary);
}

}  // namespace trireme::cuda

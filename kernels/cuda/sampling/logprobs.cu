// logprobs: the log-softmax of raw rows, x - maximum - ln sum e^(x - maximum), of one chosen id and
// of the `count` greatest.
//
// Layout: a block takes kLogprobIds ids, sixteen per thread in registers, and writes its maximum,
// its sum relative to it, and the ranks of its greatest ids in descending order. Then one block per
// row merges the parts.
//
// Order of the sum: the sixteen ids of a thread ascending, lanes by an xor tree, warps ascending;
// then parts over 32 lanes ascending and an xor tree in fp64. It depends on the width alone. NaN
// and -inf add nothing; NaN is in no list.
//
// Bound: bytes, 4 ids per row. Share of peak: not yet measured.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/block_reduce.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sampling/sampling_shape.h"
#include "kernels/cuda/sampling/token_order.h"
#include "kernels/draw.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kThreadIds = kLogprobIds / kSampleThreads;

struct LogprobTask {
  const float* logits;
  int64_t row_stride;
  int32_t width;
  int32_t count;
  const int32_t* chosen;
  PartSum* sums;   // [rows, num_parts]
  uint64_t* tops;  // [rows, num_parts, count]
  int32_t num_parts;
  TokenLogprob* out;  // [rows, 1 + count]
};

struct LogprobShared {
  uint64_t maximum[kSampleWarps];
  float sums[kSampleWarps];
  uint64_t best[2][kSampleWarps];  // alternating, so that a round needs one barrier
  double log_sum;
  float maximum_value;
};

// The greatest rank below `limit` among this thread's ids.
__device__ __forceinline__ uint64_t best_below(const float (&x)[kThreadIds],
                                               int32_t begin,
                                               uint64_t limit) {
  uint64_t best = 0;
#pragma unroll
  for (int32_t i = 0; i < kThreadIds; ++i) {
    const uint64_t rank = rank_of(x[i], begin + i * kSampleThreads);
    if (rank < limit && rank > best) best = rank;
  }
  return best;
}

__global__ void __launch_bounds__(kSampleThreads) rank_part(LogprobTask task) {
  dependency_wait();
  auto& shared = shared_memory<LogprobShared>();
  const int64_t row = blockIdx.y;
  const int64_t part = row * task.num_parts + blockIdx.x;
  const float* logits = task.logits + row * task.row_stride;
  const int32_t begin = static_cast<int32_t>(blockIdx.x * kLogprobIds + threadIdx.x);
  float x[kThreadIds];
  float local = kNever;
#pragma unroll
  for (int32_t i = 0; i < kThreadIds; ++i) {
    const int32_t id = begin + i * kSampleThreads;
    x[i] = id < task.width ? logits[id] : std::numeric_limits<float>::quiet_NaN();
    local = x[i] > local ? x[i] : local;
  }
  const auto maximum =
      value_of_key(static_cast<uint32_t>(block_max(order_key(local), shared.maximum)));
  float sum = 0;
#pragma unroll
  for (int32_t i = 0; i < kThreadIds; ++i) {
    if (x[i] > kNever) sum += expf(x[i] - maximum);
  }
  sum = block_sum(sum, shared.sums);
  if (threadIdx.x == 0) task.sums[part] = {maximum, sum};

  uint64_t best = best_below(x, begin, ~uint64_t{0});
#pragma unroll 1
  for (int32_t i = 0; i < task.count; ++i) {
    const uint64_t winner = block_max(best, shared.best[i % 2]);
    if (threadIdx.x == 0) task.tops[part * task.count + i] = winner;
    if (best == winner) best = best_below(x, begin, winner);
  }
}

// Maximum and log-sum of a row. Called by its first warp.
__device__ __forceinline__ void merge_sums(const LogprobTask& task,
                                           int64_t row,
                                           LogprobShared& shared) {
  const PartSum* parts = task.sums + row * task.num_parts;
  const int32_t lane = static_cast<int32_t>(threadIdx.x);
  uint64_t key = 0;
  for (int32_t part = lane; part < task.num_parts; part += 32) {
    const uint64_t other = order_key(parts[part].maximum);
    key = other > key ? other : key;
  }
  key = warp_max(key);
  const float maximum = key == 0 ? kNever : value_of_key(static_cast<uint32_t>(key));
  double total = 0;
  for (int32_t part = lane; part < task.num_parts; part += 32) {
    if (!(parts[part].maximum > kNever)) continue;
    total += static_cast<double>(parts[part].sum) *
             static_cast<double>(expf(parts[part].maximum - maximum));
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
  if (lane != 0) return;
  shared.log_sum = log(total);
  shared.maximum_value = maximum;
}

// The greatest rank below `limit` among every 256th entry of the parts' lists.
__device__ __forceinline__ uint64_t best_listed(const uint64_t* ranks,
                                                int64_t size,
                                                uint64_t limit) {
  uint64_t best = 0;
  for (int64_t i = threadIdx.x; i < size; i += kSampleThreads) {
    if (ranks[i] < limit && ranks[i] > best) best = ranks[i];
  }
  return best;
}

__global__ void __launch_bounds__(kSampleThreads) merge_row(LogprobTask task) {
  dependency_wait();
  auto& shared = shared_memory<LogprobShared>();
  const int64_t row = blockIdx.x;
  if (threadIdx.x < 32) merge_sums(task, row, shared);
  __syncthreads();
  const auto logprob = [&](float logit) {
    return static_cast<float>((static_cast<double>(logit) - shared.maximum_value) - shared.log_sum);
  };
  TokenLogprob* out = task.out + row * (1 + task.count);
  if (threadIdx.x == 0) {
    const int32_t id = task.chosen[row] > 0 ? task.chosen[row] : 0;
    TokenLogprob entry;
    if (id < task.width) entry = {id, logprob(task.logits[row * task.row_stride + id])};
    out[0] = entry;
  }
  const int64_t size = static_cast<int64_t>(task.num_parts) * task.count;
  const uint64_t* ranks = task.tops + row * size;
  uint64_t best = best_listed(ranks, size, ~uint64_t{0});
#pragma unroll 1
  for (int32_t i = 0; i < task.count; ++i) {
    const uint64_t winner = block_max(best, shared.best[i % 2]);
    if (threadIdx.x == 0) {
      TokenLogprob entry;
      if (winner > 0) entry = {id_of_rank(winner), logprob(value_of_rank(winner))};
      out[1 + i] = entry;
    }
    if (best == winner) best = best_listed(ranks, size, winner);
  }
}

// Ranks up to kTurnRows rows.
void rank_turn(CudaQueue& queue, const Workspace& workspace, int64_t rows, LogprobTask task) {
  const LogprobLayout layout = logprob_layout(rows, task.width, task.count);
  CHECK(workspace.bytes >= layout.bytes);
  task.sums = reinterpret_cast<PartSum*>(workspace.data + layout.sums);
  task.tops = reinterpret_cast<uint64_t*>(workspace.data + layout.tops);
  task.num_parts = parts_of(task.width, kLogprobIds);
  LaunchConfig config;
  config.block.x = kSampleThreads;
  config.shared_bytes = sizeof(LogprobShared);
  config.grid = {static_cast<unsigned>(task.num_parts), static_cast<unsigned>(rows), 1};
  launch(queue, "logprobs", rank_part, config, task);
  config.grid = {static_cast<unsigned>(rows), 1, 1};
  launch(queue, "logprobs merge", merge_row, config, task);
}

}  // namespace

void CudaBackend::logprobs(Queue& queue,
                           Workspace& workspace,
                           Tensor logits,
                           const int32_t* chosen,
                           int32_t count,
                           TokenLogprob* out) {
  CHECK(logits.dtype == DType::kFloat32 && logits.columns <= int64_t{1} << kIdBits);
  CHECK(count >= 0 && count <= kMaxTopIds);
  for (int64_t first = 0; first < logits.rows; first += kTurnRows) {
    LogprobTask task = {};
    task.logits = logits.row<float>(first);
    task.row_stride = logits.row_stride;
    task.width = static_cast<int32_t>(logits.columns);
    task.count = count;
    task.chosen = chosen + first;
    task.out = out + first * (1 + count);
    rank_turn(cuda_queue(queue), workspace, std::min(kTurnRows, logits.rows - first), task);
  }
}

}  // namespace trireme::cuda

// out[t, :] = W[id(t) - first_row, :], or zeros where the id is not one of this weight's rows or
// the row is padding; -0 becomes 0.
//
// Layout: W as in cuda_weight.h; out [tokens, k], rows 16-byte aligned; one block per token.
//
// Bound: bytes, 2 x 2 k per token. Share of peak: not yet measured.
#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/chunk.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kThreads = 128;

struct EmbedTask {
  const int32_t* token_ids;
  const int32_t* slots;  // null: no row is padding
  const uint16_t* table;
  int64_t table_stride;
  int64_t first_row;
  int64_t num_rows;
  uint16_t* out;
  int64_t out_stride;
  int32_t width;
};

__device__ __forceinline__ uint32_t without_negative_zeros(uint32_t pair) {
  if ((pair & 0x00007fffu) == 0) pair &= 0xffff7fffu;
  if ((pair & 0x7fff0000u) == 0) pair &= 0x7fffffffu;
  return pair;
}

__global__ void __launch_bounds__(kThreads) embed_row(EmbedTask task) {
  dependency_wait();
  const int64_t token = blockIdx.x;
  const bool is_padding = task.slots != nullptr && task.slots[token] < 0;
  const int64_t local = task.token_ids[token] - task.first_row;
  const bool is_here = !is_padding && local >= 0 && local < task.num_rows;
  const auto* from = reinterpret_cast<const uint4*>(task.table + local * task.table_stride);
  uint16_t* to = task.out + token * task.out_stride;
#pragma unroll 4
  for (int32_t chunk = threadIdx.x; chunk < num_chunks(task.width); chunk += kThreads) {
    uint4 v = {0, 0, 0, 0};
    if (is_here) {
      v = load_once(from + chunk);
      v = {without_negative_zeros(v.x),
           without_negative_zeros(v.y),
           without_negative_zeros(v.z),
           without_negative_zeros(v.w)};
    }
    store8(to + chunk * kChunk, task.width - chunk * kChunk, v);
  }
}

}  // namespace

void CudaBackend::embed(
    Queue& queue, const BatchView& batch, const Weight& weight, int64_t first_row, Tensor out) {
  const auto& table = static_cast<const CudaWeight&>(weight);
  CHECK(table.layout() == WeightLayout::kRows);
  CHECK(out.dtype == options_.dtype && out.columns == table.k() && out.rows >= batch.num_tokens);
  CHECK(out.row_stride % kChunk == 0 && reinterpret_cast<uintptr_t>(out.data) % 16 == 0);
  EmbedTask task;
  task.token_ids = batch.token_ids;
  task.slots = batch.slots;
  task.table = table.data();
  task.table_stride = table.padded_k();
  task.first_row = first_row;
  task.num_rows = table.n();
  task.out = out.row<uint16_t>(0);
  task.out_stride = out.row_stride;
  task.width = static_cast<int32_t>(out.columns);
  LaunchConfig config;
  config.grid.x = static_cast<unsigned>(batch.num_tokens);
  config.block.x = kThreads;
  launch(cuda_queue(queue), "embed", embed_row, config, task);
}

}  // namespace trireme::cuda

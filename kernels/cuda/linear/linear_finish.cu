// out = epilogue(sum over chunks c of partials[c]), chunks in ascending order, starting from zero.
// Or out = epilogue(product), a library's product in the activation type.
// One thread per unit of eight outputs; the grid's x, which alone has room for any number of rows,
// counts tokens.
//
// Layout: linear_output.h. Bound: bytes of the partial sums, which lie in L2; of a staged piece,
// which is larger than L2 where many rows are wide, and of the output. Share of peak: not yet
// measured.

#include "kernels/cuda/arch.h"
#include "kernels/cuda/chunk.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/linear_kernels.h"

namespace trireme::cuda {

namespace {

constexpr int kThreads = 128;

template <class E>
__global__ void __launch_bounds__(kThreads) linear_finish(LinearTask task, int32_t units) {
  const int32_t unit = blockIdx.y * kThreads + threadIdx.x;
  const int32_t token = blockIdx.x;
  const int32_t row = unit * unit_rows(task);
  dependency_wait();
  if (unit >= units) return;
  const int64_t chunk_stride = static_cast<int64_t>(task.rows) * task.padded_n;
  const float* partial = task.partials + token * static_cast<int64_t>(task.padded_n) + row;
  alignas(16) float sums[2 * kOutputUnit] = {};
  for (int32_t chunk = 0; chunk < task.split_k; ++chunk, partial += chunk_stride) {
#pragma unroll
    for (int i = 0; i < 2 * kOutputUnit; i += 4) {
      if (i >= kOutputUnit && !task.is_gated) break;
      const float4 four = *reinterpret_cast<const float4*>(partial + i);
      sums[i] += four.x, sums[i + 1] += four.y, sums[i + 2] += four.z, sums[i + 3] += four.w;
    }
  }
  finish_unit<E>(task, token, row, sums);
}

template <class E>
__global__ void __launch_bounds__(kThreads)
    linear_finish_staged(LinearTask task, const uint16_t* product, int32_t units) {
  const int32_t unit = blockIdx.y * kThreads + threadIdx.x;
  const int32_t token = blockIdx.x;
  const int32_t row = unit * unit_rows(task);
  dependency_wait();
  if (unit >= units) return;
  const auto* from =
      reinterpret_cast<const uint4*>(product + token * static_cast<int64_t>(task.padded_n) + row);
  alignas(16) float sums[2][kOutputUnit];
  const uint4 first = from[0];
  const uint4 second = from[1];
  unpack8<E>(first, sums[0]);
  unpack8<E>(second, sums[1]);
  finish_unit<E>(task, token, row, sums[0]);
}

int32_t num_units(const LinearTask& task) { return (task.columns + kOutputUnit - 1) / kOutputUnit; }

LaunchConfig config_of(const LinearTask& task) {
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(task.rows),
                 static_cast<unsigned>((num_units(task) + kThreads - 1) / kThreads),
                 1};
  config.block = {kThreads, 1, 1};
  return config;
}

}  // namespace

void launch_linear_finish(CudaQueue& queue, const LinearTask& task, bool is_bf16) {
  launch(queue,
         "linear_finish",
         is_bf16 ? linear_finish<Bf16> : linear_finish<Fp16>,
         config_of(task),
         task,
         num_units(task));
}

void launch_linear_finish_staged(CudaQueue& queue,
                                 const LinearTask& task,
                                 const uint16_t* product,
                                 bool is_bf16) {
  launch(queue,
         "linear_finish_staged",
         is_bf16 ? linear_finish_staged<Bf16> : linear_finish_staged<Fp16>,
         config_of(task),
         task,
         product,
         num_units(task));
}

}  // namespace trireme::cuda

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/cuda_memory.h"
#include "kernels/cuda/linear/linear_call.h"

namespace trireme::cuda {

namespace {

int32_t narrow_count(int64_t count) {
  CHECK(count >= 0 && count <= std::numeric_limits<int32_t>::max());
  return static_cast<int32_t>(count);
}

// Packed rows of W, including the gaps between the last rows of gate and up.
int64_t packed_rows(const CudaWeight& weight) {
  if (weight.layout() == WeightLayout::kRows) return weight.n();
  return 2 * pad_to(weight.n() / 2, kOutputUnit);
}

bool needs_finish(const LinearTask& task) { return task.is_gated || task.bias != nullptr; }

}  // namespace

const CudaWeight& packed_of(const LinearCall& call) {
  return static_cast<const CudaWeight&>(*call.weight);
}

void check_linear(const LinearCall& call, DType activation) {
  const Tensor& x = call.x;
  const Tensor& out = call.out;
  const Vector& bias = call.epilogue.bias;
  const CudaWeight& packed = packed_of(call);
  const bool is_gated = call.epilogue.activation == Activation::kSiluGate;
  CHECK(x.dtype == activation && x.columns == packed.k() && out.rows >= x.rows);
  CHECK(is_gated == (packed.layout() == WeightLayout::kGateUp));
  CHECK(out.columns == (is_gated ? packed.n() / 2 : packed.n()));
  CHECK(out.dtype == DType::kFloat32 || out.dtype == activation);
  CHECK(bias.data == nullptr || bias.size == packed.n());
  CHECK(x.row_stride % 8 == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0);
}

LinearTask make_linear_task(const LinearCall& call, const LinearLaunch& launch) {
  const Tensor& x = call.x;
  const Tensor& out = call.out;
  const CudaWeight& packed = packed_of(call);
  LinearTask task;
  task.x = reinterpret_cast<const uint16_t*>(x.data);
  task.weight = packed.data();
  task.bias = call.epilogue.bias.data;
  task.out = out.data;
  task.x_stride = x.row_stride;
  task.out_stride = out.row_stride;
  task.padded_k = packed.padded_k();
  task.rows = narrow_count(x.rows);
  task.k = narrow_count(packed.k());
  task.padded_n = narrow_count(packed.padded_n());
  task.columns = narrow_count(out.columns);
  task.num_strips = narrow_count(packed.padded_k() / kStripColumns);
  task.is_gated = call.epilogue.activation == Activation::kSiluGate;
  task.out_is_fp32 = out.dtype == DType::kFloat32;
  task.out_is_aligned =
      out.row_stride % kOutputUnit == 0 && reinterpret_cast<uintptr_t>(out.data) % 16 == 0;
  task.row_tiles = launch.row_tiles;
  task.token_tiles = launch.token_tiles;
  task.chunk_strips = launch.chunk_strips;
  task.split_k = launch.split_k;
  return task;
}

LinearShape linear_shape(const LinearCall& call) {
  const CudaWeight& packed = packed_of(call);
  return {narrow_count(call.x.rows), narrow_count(packed_rows(packed)), narrow_count(packed.k())};
}

void enqueue_own(CudaQueue& queue, const Workspace& workspace, const OwnLinear& own, bool is_bf16) {
  CHECK(workspace.bytes >= partial_bytes(own.shape, own.launch));
  LinearTask task = own.task;
  task.partials = reinterpret_cast<float*>(workspace.data);
  if (own.launch.streams) return launch_linear_stream(queue, own.launch, task, is_bf16);
  launch_linear_tile(queue, own.launch, task, is_bf16);
  if (own.launch.split_k > 1) launch_linear_finish(queue, task, is_bf16);
}

bool may_use_cublaslt(const LinearTask& task) {
  if (!needs_finish(task)) return true;
  return task.rows > kMaxNormRows && (!task.is_gated || !task.out_is_fp32);
}

MatmulCall cublaslt_call(const LinearTask& task, const Workspace& workspace) {
  MatmulCall call;
  call.shape = {task.rows,
                task.columns,
                task.k,
                task.out_is_fp32 ? MatmulOut::kFloat32 : MatmulOut::kActivation};
  call.x = task.x;
  call.weight = task.weight;
  call.out = task.out;
  call.x_stride = task.x_stride;
  call.weight_stride = task.padded_k;
  call.out_stride = task.out_stride;
  call.piece_rows = task.rows;
  call.scratch = {workspace.data, std::min(workspace.bytes, kCudaScratchBytes)};
  if (!needs_finish(task)) return call;
  call.shape.n = task.padded_n;
  call.shape.out = task.is_gated ? MatmulOut::kStaged : MatmulOut::kFloat32;
  call.out = workspace.data;
  call.out_stride = task.padded_n;
  const int64_t staged_n = task.is_gated ? task.padded_n : 2 * int64_t{task.padded_n};
  call.piece_rows = narrow_count(cuda_piece_rows(task.rows, staged_n));
  const int64_t staged_bytes = cuda_staged_bytes(call.piece_rows, staged_n);
  const bool fits = workspace.bytes >= staged_bytes + kCudaLibraryBytes;
  call.scratch = {workspace.data + staged_bytes, fits ? kCudaLibraryBytes : -1};
  return call;
}

CublasLt::Finish finish_of(CudaQueue& queue,
                           const LinearTask& task,
                           const Workspace& workspace,
                           bool is_bf16) {
  if (!needs_finish(task)) return {};
  return [&queue, &task, &workspace, is_bf16](int32_t first, int32_t rows) {
    LinearTask piece = task;
    const int64_t first_bytes = first * task.out_stride * (task.out_is_fp32 ? 4 : 2);
    piece.out = static_cast<std::byte*>(task.out) + first_bytes;
    piece.rows = rows;
    if (task.is_gated) {
      const auto* product = reinterpret_cast<const uint16_t*>(workspace.data);
      return launch_linear_finish_staged(queue, piece, product, is_bf16);
    }
    piece.partials = reinterpret_cast<float*>(workspace.data);
    piece.split_k = 1;
    launch_linear_finish(queue, piece, is_bf16);
  };
}

}  // namespace trireme::cuda

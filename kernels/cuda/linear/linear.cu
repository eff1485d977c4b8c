// The matmul ops: y = act(x W^T + bias), by one of three algorithms.
//
// Stream kernel (linear_stream.cu): up to 16 rows, in the fast mode. For few rows it also performs
// the op that follows (linear_add_norm, linear_qkv).
//
// Tile kernel (linear_tile.cu): any number of rows, and all rows under --invariant. Where the tiles
// do not fill the queue's blocks, K is divided into chunks whose sums linear_finish.cu adds in
// order.
//
// cuBLASLt (cublaslt.h): fast mode, for shapes at which it was timed and found faster; for up to
// kMaxNormRows rows only where it needs no more launches than our kernels.
//
// Layout: cuda_weight.h. Bounds: the kernels' files. Inputs that a row's bits depend on:
// linear_launch.h.

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "base/check.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/norm_row.h"
#include "kernels/cuda/qkv_head.h"

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

LinearTask make_task(const Tensor& x,
                     const CudaWeight& weight,
                     const Epilogue& epilogue,
                     Tensor out) {
  LinearTask task;
  task.x = reinterpret_cast<const uint16_t*>(x.data);
  task.weight = weight.data();
  task.bias = epilogue.bias.data;
  task.out = out.data;
  task.x_stride = x.row_stride;
  task.out_stride = out.row_stride;
  task.padded_k = weight.padded_k();
  task.rows = narrow_count(x.rows);
  task.k = narrow_count(weight.k());
  task.padded_n = narrow_count(weight.padded_n());
  task.columns = narrow_count(out.columns);
  task.num_strips = narrow_count(weight.padded_k() / kStripColumns);
  task.is_gated = epilogue.activation == Activation::kSiluGate;
  task.out_is_fp32 = out.dtype == DType::kFloat32;
  task.out_is_aligned =
      out.row_stride % kOutputUnit == 0 && reinterpret_cast<uintptr_t>(out.data) % 16 == 0;
  return task;
}

void check_shapes(const Tensor& x,
                  const CudaWeight& weight,
                  const Epilogue& epilogue,
                  const Tensor& out,
                  DType type) {
  const bool is_gated = epilogue.activation == Activation::kSiluGate;
  CHECK(x.dtype == type && x.columns == weight.k() && out.rows >= x.rows);
  CHECK(is_gated == (weight.layout() == WeightLayout::kGateUp));
  CHECK(out.columns == (is_gated ? weight.n() / 2 : weight.n()));
  CHECK(out.dtype == DType::kFloat32 || out.dtype == type);
  CHECK(epilogue.bias.data == nullptr || epilogue.bias.size == weight.n());
  CHECK(x.row_stride % 8 == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0);
}

LinearShape shape_of(const LinearTask& task, const CudaWeight& weight) {
  return {task.rows, narrow_count(packed_rows(weight)), task.k};
}

void set_launch(LinearTask& task, const LinearLaunch& launch) {
  task.row_tiles = launch.row_tiles;
  task.token_tiles = launch.token_tiles;
  task.chunk_strips = launch.chunk_strips;
  task.split_k = launch.split_k;
}

void enqueue_own(CudaQueue& queue,
                 const Workspace& workspace,
                 LinearTask task,
                 const LinearShape& shape,
                 const LinearLaunch& launch,
                 bool is_bf16) {
  CHECK(workspace.bytes >= partial_bytes(shape, launch));
  task.partials = reinterpret_cast<float*>(workspace.data);
  set_launch(task, launch);
  if (launch.streams) return launch_linear_stream(queue, launch, task, is_bf16);
  launch_linear_tile(queue, launch, task, is_bf16);
  if (launch.split_k > 1) launch_linear_finish(queue, task, is_bf16);
}

bool needs_finish(const LinearTask& task) { return task.is_gated || task.bias != nullptr; }

// Launches dominate a step of few rows, so a timing of one matmul may not add a node to its graph.
bool may_use_cublaslt(const LinearTask& task) {
  return task.rows > kMaxNormRows || !needs_finish(task);
}

// The matmul as a call of cuBLASLt: directly to `out` or, if an epilogue has to follow, to the
// workspace as one partial sum. Nothing if that does not fit.
std::optional<MatmulCall> cublaslt_call(const LinearTask& task, const Workspace& workspace) {
  const bool is_staged = needs_finish(task);
  const int64_t staged_bytes =
      is_staged ? int64_t{task.rows} * task.padded_n * int64_t{sizeof(float)} : 0;
  if (workspace.bytes < staged_bytes) return std::nullopt;
  MatmulCall call;
  call.shape = {
      task.rows, is_staged ? task.padded_n : task.columns, task.k, is_staged || task.out_is_fp32};
  call.x = task.x;
  call.weight = task.weight;
  call.out = is_staged ? workspace.data : task.out;
  call.x_stride = task.x_stride;
  call.weight_stride = task.padded_k;
  call.out_stride = is_staged ? task.padded_n : task.out_stride;
  call.scratch = {workspace.data + staged_bytes, workspace.bytes - staged_bytes};
  return call;
}

// Whether cuBLASLt was found faster, at row counts where that outweighs saving a launch.
bool is_cublaslt_better(const CublasLt* library,
                        const LinearTask& task,
                        const Workspace& workspace) {
  if (library == nullptr || task.rows <= kMaxNormRows) return false;
  const auto call = cublaslt_call(task, workspace);
  return call.has_value() && library->table().find(call->shape) != nullptr;
}

void finish_cublaslt(CudaQueue& queue, const Workspace& workspace, LinearTask task, bool is_bf16) {
  if (!needs_finish(task)) return;
  task.partials = reinterpret_cast<float*>(workspace.data);
  task.split_k = 1;
  launch_linear_finish(queue, task, is_bf16);
}

bool enqueue_cublaslt(const CublasLt& library,
                      CudaQueue& queue,
                      const Workspace& workspace,
                      const LinearTask& task,
                      bool is_bf16) {
  const auto call = cublaslt_call(task, workspace);
  if (!call || !library.run(queue, *call)) return false;
  finish_cublaslt(queue, workspace, task, is_bf16);
  return true;
}

}  // namespace

LinearLaunch CudaBackend::choose_launch(const CudaQueue& queue, const LinearShape& shape) const {
  return choose_linear(shape, {queue.num_blocks(), tile_residency_}, options_.invariant);
}

void CudaBackend::linear(Queue& queue,
                         Workspace& workspace,
                         Tensor x,
                         const Weight& weight,
                         const Epilogue& epilogue,
                         Tensor out) {
  const auto& packed = static_cast<const CudaWeight&>(weight);
  check_shapes(x, packed, epilogue, out, options_.dtype);
  CudaQueue& stream = cuda_queue(queue);
  const LinearTask task = make_task(x, packed, epilogue, out);
  const LinearShape shape = shape_of(task, packed);
  const LinearLaunch launch = choose_launch(stream, shape);
  if (launch.num_tiles() == 0) return;
  if (cublaslt_ != nullptr && may_use_cublaslt(task) &&
      enqueue_cublaslt(*cublaslt_, stream, workspace, task, is_bf16())) {
    return;
  }
  enqueue_own(stream, workspace, task, shape, launch, is_bf16());
}

void CudaBackend::linear_add_norm(
    Queue& queue, Workspace& workspace, Tensor x, const Weight& weight, const NormedSum& sum) {
  const auto& packed = static_cast<const CudaWeight&>(weight);
  CudaQueue& stream = cuda_queue(queue);
  LinearTask task = make_task(x, packed, {}, sum.delta);
  const LinearShape shape = shape_of(task, packed);
  const LinearLaunch launch = choose_launch(stream, shape);
  if (stream.counters() == nullptr || !takes_norm(shape, launch)) {
    return Backend::linear_add_norm(queue, workspace, x, weight, sum);
  }
  check_shapes(x, packed, {}, sum.delta, options_.dtype);
  set_launch(task, launch);
  const NormTask norm =
      norm_task(sum.residual, &sum.delta, sum.bias, sum.norm, sum.out, options_.dtype);
  launch_linear_norm(stream, launch, task, norm, is_bf16());
}

void CudaBackend::linear_qkv(Queue& queue,
                             Workspace& workspace,
                             Tensor x,
                             const Weight& weight,
                             Vector bias,
                             const QkvTarget& target) {
  const auto& packed = static_cast<const CudaWeight&>(weight);
  CudaQueue& stream = cuda_queue(queue);
  LinearTask task = make_task(x, packed, {.bias = bias}, target.qkv);
  const LinearShape shape = shape_of(task, packed);
  const LinearLaunch launch = choose_launch(stream, shape);
  if (stream.counters() == nullptr || !takes_heads(shape, launch, target.spec.shape.head_dim) ||
      is_cublaslt_better(cublaslt_.get(), task, workspace)) {
    return Backend::linear_qkv(queue, workspace, x, weight, bias, target);
  }
  const HeadWork work = head_work(
      target.batch, target.qkv, target.spec, target.pages, target.layer, target.q, options_.dtype);
  if (!is_in_chunks(work)) {
    return Backend::linear_qkv(queue, workspace, x, weight, bias, target);
  }
  check_shapes(x, packed, {.bias = bias}, target.qkv, options_.dtype);
  set_launch(task, launch);
  launch_linear_heads(stream, launch, task, work, is_bf16());
}

bool CudaBackend::start_cublaslt() {
  if (options_.invariant) return false;
  if (cublaslt_ == nullptr) {
    cublaslt_ = CublasLt::make(is_bf16(), device_name_ + " " + architecture_);
  }
  return cublaslt_ != nullptr;
}

void CudaBackend::tune_linear(Queue& queue,
                              Workspace& workspace,
                              Tensor x,
                              std::span<const Weight* const> weights,
                              const Epilogue& epilogue,
                              Tensor out) {
  if (x.rows == 0 || !start_cublaslt()) return;
  CudaQueue& stream = cuda_queue(queue);
  std::vector<LinearTask> tasks;
  std::vector<MatmulCall> calls;
  for (const Weight* weight : weights) {
    const auto& packed = static_cast<const CudaWeight&>(*weight);
    check_shapes(x, packed, epilogue, out, options_.dtype);
    tasks.push_back(make_task(x, packed, epilogue, out));
    const auto call = cublaslt_call(tasks.back(), workspace);
    if (!call) return;
    calls.push_back(*call);
  }
  if (calls.empty() || !may_use_cublaslt(tasks[0])) return;
  if (cublaslt_->table().knows(calls[0].shape)) return;
  const LinearShape shape = shape_of(tasks[0], static_cast<const CudaWeight&>(*weights[0]));
  const LinearLaunch launch = choose_launch(stream, shape);
  const auto own = [&](size_t i) {
    enqueue_own(stream, workspace, tasks[i], shape, launch, is_bf16());
  };
  const auto finish = [&](size_t i) { finish_cublaslt(stream, workspace, tasks[i], is_bf16()); };
  cublaslt_->choose(stream, calls, own, finish);
}

std::string CudaBackend::save_tuning() {
  return start_cublaslt() ? cublaslt_->table().save() : std::string();
}

std::string CudaBackend::tuning_name() {
  return start_cublaslt() ? cublaslt_->table().file_name() : std::string();
}

bool CudaBackend::load_tuning(std::string_view bytes) {
  return start_cublaslt() && cublaslt_->table().load(bytes);
}

cudaError_t prepare_linear(bool is_bf16, TileResidency& resident) {
  return prepare_linear_tile(is_bf16, resident);
}

int64_t linear_workspace_bytes(int64_t max_rows, int64_t, int64_t max_n) {
  const int64_t sums = kMaxSplit * max_rows * pad_to(max_n, kRowPad) * int64_t{sizeof(float)};
  return std::min(kPartialBytes, sums);
}

}  // namespace trireme::cuda

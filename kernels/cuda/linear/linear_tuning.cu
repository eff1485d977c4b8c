// The choice between our matmul kernels and cuBLASLt: timing, the table of results, and how a call
// is computed, in words.
#include <vector>

#include "base/text.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/linear/linear_call.h"

namespace trireme::cuda {

namespace {

std::string name_of_kernel(const LinearLaunch& launch, bool takes_next) {
  std::string name = format_text("{} kernel, {} x {}",
                                 launch.streams ? "stream" : "tile",
                                 launch.tile_tokens,
                                 launch.tile_rows);
  if (launch.split_k > 1) name += format_text(", k in {} chunks", launch.split_k);
  return takes_next ? name + ", next op in the same launch" : name;
}

std::string name_of_call(const MatmulCall& call, const MatmulChoice& choice, bool is_staged) {
  std::string name = CublasLt::describe(choice);
  if (is_staged) {
    const int32_t pieces = (call.shape.rows + call.piece_rows - 1) / call.piece_rows;
    name += pieces == 1 ? std::string(", staged")
                        : format_text(", staged in {} pieces of {} rows", pieces, call.piece_rows);
  }
  return name + format_text("; {:.1f} us, own kernels {:.1f}", choice.time_us, choice.own_time_us);
}

}  // namespace

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
  if (x.rows == 0 || weights.empty() || !start_cublaslt()) return;
  CudaQueue& stream = cuda_queue(queue);
  std::vector<OwnLinear> owns;
  std::vector<MatmulCall> calls;
  for (const Weight* weight : weights) {
    const LinearCall call = {x, weight, epilogue, out};
    check_linear(call, options_.dtype);
    owns.push_back(own_linear(stream, call));
    calls.push_back(cublaslt_call(owns.back().task, workspace));
  }
  if (!may_use_cublaslt(owns[0].task) || cublaslt_->table().knows(calls[0].shape)) return;
  cublaslt_->choose(
      stream,
      calls,
      [&](size_t i) { enqueue_own(stream, workspace, owns[i], is_bf16()); },
      [&](size_t i) { return finish_of(stream, owns[i].task, workspace, is_bf16()); });
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

std::string CudaBackend::describe_linear(const Queue& queue,
                                         const Workspace& workspace,
                                         const LinearCall& call) const {
  const auto& stream = static_cast<const CudaQueue&>(queue);
  const OwnLinear own = own_linear(stream, call);
  if (own.launch.num_tiles() == 0) return "no rows";
  const bool fuses = takes_next(stream, call, own);
  const std::string kernel = name_of_kernel(own.launch, fuses);
  if (options_.invariant) return kernel + "; cuBLASLt is off (--invariant)";
  if (cublaslt_ == nullptr) return kernel + "; cuBLASLt is not loaded";
  if (!may_use_cublaslt(own.task) || (fuses && own.task.rows <= kMaxNormRows)) {
    return kernel + "; cuBLASLt would add a launch";
  }
  const MatmulCall library_call = cublaslt_call(own.task, workspace);
  const MatmulChoice* choice = cublaslt_->table().entry(library_call.shape);
  const MatmulRefusal refusal = cublaslt_->check(library_call);
  if (refusal == MatmulRefusal::kNone) {
    return name_of_call(library_call, *choice, library_call.out == workspace.data);
  }
  return kernel + "; " + text_of(refusal);
}

std::vector<RefusedMatmuls> CudaBackend::refused_matmuls() const {
  return cublaslt_ == nullptr ? std::vector<RefusedMatmuls>() : cublaslt_->refused();
}

}  // namespace trireme::cuda

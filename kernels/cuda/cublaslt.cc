#include "kernels/cuda/cublaslt.h"

#include <cublasLt.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/handle.h"
#include "base/text.h"
#include "kernels/cuda/stopwatch.h"

namespace trireme::cuda {

namespace {

constexpr int kCandidates = 8;

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(MatmulChoice::algorithm));

cublasLtMatmulAlgo_t algorithm_of(const MatmulChoice& choice) {
  return std::bit_cast<cublasLtMatmulAlgo_t>(choice.algorithm);
}

// The library's description of a piece of a call. The library is column-major: it computes
// out^T [n, rows] as W [k, n]^T times x [k, rows].
class Description {
 public:
  Description(const MatmulCall& call, int32_t rows, bool is_bf16) {
    const cudaDataType_t input = is_bf16 ? CUDA_R_16BF : CUDA_R_16F;
    const MatmulShape& shape = call.shape;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasLtMatmulDesc_t matmul = nullptr;
    is_valid_ =
        cublasLtMatmulDescCreate(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS;
    if (!is_valid_) return;
    matmul_ = DescHandle(matmul);
    weight_ = layout(input, shape.k, shape.n, call.weight_stride);
    x_ = layout(input, shape.k, rows, call.x_stride);
    const bool is_wide = shape.out == MatmulOut::kFloat32;
    out_ = layout(is_wide ? CUDA_R_32F : input, shape.n, rows, call.out_stride);
    is_valid_ = weight_ && x_ && out_ &&
                cublasLtMatmulDescSetAttribute(
                    matmul, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed) ==
                    CUBLAS_STATUS_SUCCESS;
  }

  bool is_valid() const { return is_valid_; }

  // Whether the algorithm supports this call with the scratch it has.
  bool accepts(cublasLtHandle_t handle,
               const cublasLtMatmulAlgo_t& algorithm,
               const MatmulCall& call) const {
    cublasLtMatmulHeuristicResult_t result = {};
    return cublasLtMatmulAlgoCheck(handle,
                                   matmul_.get(),
                                   weight_.get(),
                                   x_.get(),
                                   out_.get(),
                                   out_.get(),
                                   &algorithm,
                                   &result) == CUBLAS_STATUS_SUCCESS &&
           static_cast<int64_t>(result.workspaceSize) <= call.scratch.bytes;
  }

  cublasStatus_t enqueue(cublasLtHandle_t handle,
                         const cublasLtMatmulAlgo_t& algorithm,
                         const MatmulCall& call,
                         int64_t first_row,
                         cudaStream_t stream) const {
    const float one = 1;
    const float zero = 0;
    return cublasLtMatmul(handle,
                          matmul_.get(),
                          &one,
                          call.weight,
                          weight_.get(),
                          call.x + first_row * call.x_stride,
                          x_.get(),
                          &zero,
                          call.out,
                          out_.get(),
                          call.out,
                          out_.get(),
                          &algorithm,
                          call.scratch.data,
                          static_cast<size_t>(call.scratch.bytes),
                          stream);
  }

  std::vector<cublasLtMatmulAlgo_t> candidates(cublasLtHandle_t handle,
                                               int64_t scratch_bytes) const {
    cublasLtMatmulPreference_t preference = nullptr;
    if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS) return {};
    const auto bytes = static_cast<uint64_t>(scratch_bytes);
    cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    cublasLtMatmulHeuristicResult_t results[kCandidates] = {};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle,
                                                                 matmul_.get(),
                                                                 weight_.get(),
                                                                 x_.get(),
                                                                 out_.get(),
                                                                 out_.get(),
                                                                 preference,
                                                                 kCandidates,
                                                                 results,
                                                                 &count);
    cublasLtMatmulPreferenceDestroy(preference);
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    for (int i = 0; i < count && status == CUBLAS_STATUS_SUCCESS; ++i) {
      if (results[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(results[i].algo);
    }
    return algorithms;
  }

 private:
  using DescHandle = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
  using LayoutHandle = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

  LayoutHandle layout(cudaDataType_t type, int32_t rows, int32_t columns, int64_t stride) {
    cublasLtMatrixLayout_t made = nullptr;
    const cublasStatus_t status = cublasLtMatrixLayoutCreate(
        &made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), stride);
    return LayoutHandle(status == CUBLAS_STATUS_SUCCESS ? made : nullptr);
  }

  DescHandle matmul_;
  LayoutHandle weight_;
  LayoutHandle x_;
  LayoutHandle out_;
  bool is_valid_ = false;
};

// Both kinds of pieces of a call.
struct Pieces {
  Pieces(const MatmulCall& call, bool is_bf16)
      : last_rows(call.shape.rows - (call.shape.rows - 1) / call.piece_rows * call.piece_rows),
        whole(call, call.piece_rows, is_bf16) {
    if (last_rows != call.piece_rows) last.emplace(call, last_rows, is_bf16);
  }

  bool is_valid() const { return whole.is_valid() && (!last || last->is_valid()); }

  bool accept(cublasLtHandle_t handle,
              const cublasLtMatmulAlgo_t& algorithm,
              const MatmulCall& call) const {
    return is_valid() && whole.accepts(handle, algorithm, call) &&
           (!last || last->accepts(handle, algorithm, call));
  }

  // False: the library has not enqueued a piece; those before it are done.
  bool enqueue(cublasLtHandle_t handle,
               const cublasLtMatmulAlgo_t& algorithm,
               const MatmulCall& call,
               cudaStream_t stream,
               const CublasLt::Finish& finish) const {
    for (int32_t first = 0; first < call.shape.rows; first += call.piece_rows) {
      const int32_t rows = std::min(call.piece_rows, call.shape.rows - first);
      const Description& piece = rows == call.piece_rows ? whole : *last;
      if (piece.enqueue(handle, algorithm, call, first, stream) != CUBLAS_STATUS_SUCCESS ||
          is_capture_lost(stream)) {
        return false;
      }
      if (finish) finish(first, rows);
    }
    return true;
  }

  // Whether the library has done what a capture does not allow; launches would fail then.
  static bool is_capture_lost(cudaStream_t stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    return cudaStreamIsCapturing(stream, &status) != cudaSuccess ||
           status == cudaStreamCaptureStatusInvalidated;
  }

  int32_t last_rows;
  Description whole;
  std::optional<Description> last;  // none: as many rows as the others
};

bool is_aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 256 == 0; }

// The obstacle to every algorithm of the library.
MatmulRefusal obstacle(const MatmulCall& call) {
  if (call.scratch.bytes < 0) return MatmulRefusal::kNoRoom;
  if (!is_aligned(call.x)) return MatmulRefusal::kUnalignedX;
  if (!is_aligned(call.weight)) return MatmulRefusal::kUnalignedWeight;
  if (!is_aligned(call.out)) return MatmulRefusal::kUnalignedOut;
  if (!is_aligned(call.scratch.data)) return MatmulRefusal::kUnalignedScratch;
  return MatmulRefusal::kNone;
}

// obstacle(), and whether the table's entry has the library as the faster way.
MatmulRefusal objection(const MatmulChoice* entry, const MatmulCall& call) {
  if (entry == nullptr) return MatmulRefusal::kNotTimed;
  return entry->time_us == 0 ? MatmulRefusal::kSlower : obstacle(call);
}

uint32_t config_of(const cublasLtMatmulAlgo_t& algorithm,
                   cublasLtMatmulAlgoConfigAttributes_t attribute) {
  uint32_t value = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, nullptr);
  return status == CUBLAS_STATUS_SUCCESS ? value : 0;
}

}  // namespace

const char* text_of(MatmulRefusal refusal) {
  switch (refusal) {
    case MatmulRefusal::kNone:
      return "none";
    case MatmulRefusal::kNotTimed:
      return "cuBLASLt was not timed";
    case MatmulRefusal::kSlower:
      return "cuBLASLt is slower";
    case MatmulRefusal::kUnalignedX:
      return "the input does not lie on 256 bytes";
    case MatmulRefusal::kUnalignedWeight:
      return "the weight does not lie on 256 bytes";
    case MatmulRefusal::kUnalignedOut:
      return "the output does not lie on 256 bytes";
    case MatmulRefusal::kUnalignedScratch:
      return "the workspace does not lie on 256 bytes";
    case MatmulRefusal::kNoRoom:
      return "the workspace is too small to stage a piece";
    case MatmulRefusal::kUnsupported:
      return "cuBLASLt does not support its algorithm for these rows";
    case MatmulRefusal::kFailed:
      return "cuBLASLt returned an error";
  }
  return "";
}

std::unique_ptr<CublasLt> CublasLt::make(bool is_bf16, const std::string& device) {
  cublasLtHandle_t handle = nullptr;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) return nullptr;
  const std::string key = TRIREME_VERSION " " + device + (is_bf16 ? " bfloat16" : " float16") +
                          " cublaslt " + std::to_string(cublasLtGetVersion());
  return std::unique_ptr<CublasLt>(new CublasLt(handle, is_bf16, key));
}

CublasLt::~CublasLt() { cublasLtDestroy(context_); }

void CublasLt::choose(CudaQueue& queue,
                      std::span<const MatmulCall> calls,
                      const EnqueueOwn& own,
                      const FinishOf& finish) {
  CHECK(!calls.empty());
  const MatmulShape& shape = calls[0].shape;
  for (const MatmulCall& call : calls) {
    CHECK(call.shape == shape);
    const MatmulRefusal refusal = obstacle(call);
    if (refusal != MatmulRefusal::kNone) return count(refusal);
  }
  Stopwatch stopwatch;
  MatmulChoice best;
  best.own_time_us = stopwatch.time_us(queue, calls.size(), [&](size_t i) {
    own(i);
    return true;
  });
  best.time_us = std::numeric_limits<float>::infinity();
  const Pieces pieces(calls[0], is_bf16_);  // calls differ in pointers only
  if (pieces.is_valid()) {
    for (const auto& algorithm : pieces.whole.candidates(context_, calls[0].scratch.bytes)) {
      const float time_us = stopwatch.time_us(queue, calls.size(), [&](size_t i) {
        return pieces.enqueue(context_, algorithm, calls[i], queue.stream(), finish(i));
      });
      if (time_us >= best.time_us) continue;
      best.time_us = time_us;
      best.algorithm = std::bit_cast<std::array<uint64_t, 8>>(algorithm);
    }
  }
  table_.note(shape, best);
}

MatmulRefusal CublasLt::check(const MatmulCall& call) const {
  const MatmulChoice* entry = table_.entry(call.shape);
  const MatmulRefusal refusal = objection(entry, call);
  if (refusal != MatmulRefusal::kNone) return refusal;
  return Pieces(call, is_bf16_).accept(context_, algorithm_of(*entry), call)
             ? MatmulRefusal::kNone
             : MatmulRefusal::kUnsupported;
}

bool CublasLt::accepts(const MatmulCall& call) {
  const MatmulRefusal refusal = check(call);
  count(refusal);
  return refusal == MatmulRefusal::kNone;
}

bool CublasLt::run(CudaQueue& queue, const MatmulCall& call, const Finish& finish) {
  if (!queue.is_usable()) return false;
  const MatmulChoice* entry = table_.entry(call.shape);
  MatmulRefusal refusal = objection(entry, call);
  if (refusal == MatmulRefusal::kNone) {
    const cublasLtMatmulAlgo_t algorithm = algorithm_of(*entry);
    const Pieces pieces(call, is_bf16_);
    if (!pieces.accept(context_, algorithm, call)) {
      refusal = MatmulRefusal::kUnsupported;
    } else if (!pieces.enqueue(context_, algorithm, call, queue.stream(), finish)) {
      refusal = MatmulRefusal::kFailed;
    }
  }
  count(refusal);
  return refusal == MatmulRefusal::kNone;
}

std::vector<RefusedMatmuls> CublasLt::refused() const {
  std::vector<RefusedMatmuls> refused;
  for (size_t i = static_cast<size_t>(MatmulRefusal::kUnalignedX); i < refusals_.size(); ++i) {
    if (refusals_[i] > 0) refused.push_back({text_of(static_cast<MatmulRefusal>(i)), refusals_[i]});
  }
  return refused;
}

std::string CublasLt::describe(const MatmulChoice& choice) {
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(choice);
  return format_text("cuBLASLt algorithm {} (tile {}, stages {}, split-k {})",
                     config_of(algorithm, CUBLASLT_ALGO_CONFIG_ID),
                     config_of(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
                     config_of(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID),
                     config_of(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
}

}  // namespace trireme::cuda

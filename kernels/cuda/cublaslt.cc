#include "kernels/cuda/cublaslt.h"

#include <cublasLt.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/handle.h"

namespace trireme::cuda {

namespace {

constexpr int kCandidates = 8;
constexpr int kWarmUps = 2;
constexpr int kRepetitions = 10;

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(MatmulChoice::algorithm));

cublasLtMatmulAlgo_t algorithm_of(const MatmulChoice& choice) {
  return std::bit_cast<cublasLtMatmulAlgo_t>(choice.algorithm);
}

// The library's description of a call. The library is column-major: it computes out^T [n, rows] as
// W [k, n]^T times x [k, rows].
class Description {
 public:
  Description(const MatmulCall& call, bool is_bf16) {
    const cudaDataType_t input = is_bf16 ? CUDA_R_16BF : CUDA_R_16F;
    const MatmulShape& shape = call.shape;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    cublasLtMatmulDesc_t matmul = nullptr;
    is_valid_ =
        cublasLtMatmulDescCreate(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS;
    if (!is_valid_) return;
    matmul_ = DescHandle(matmul);
    weight_ = layout(input, shape.k, shape.n, call.weight_stride);
    x_ = layout(input, shape.k, shape.rows, call.x_stride);
    out_ = layout(shape.out_is_fp32 ? CUDA_R_32F : input, shape.n, shape.rows, call.out_stride);
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
                         cudaStream_t stream) const {
    const float one = 1;
    const float zero = 0;
    return cublasLtMatmul(handle,
                          matmul_.get(),
                          &one,
                          call.weight,
                          weight_.get(),
                          call.x,
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

class Stopwatch {
 public:
  Stopwatch() : start_(make_event()), stop_(make_event()) {}

  // Mean time of `enqueue` over `count` inputs in turn; infinity if the device fails.
  float time_us(CudaQueue& queue, size_t count, const std::function<bool(size_t)>& enqueue) {
    constexpr float kFailed = std::numeric_limits<float>::infinity();
    for (int i = 0; i < kWarmUps; ++i) {
      if (!enqueue(i % count)) return kFailed;
    }
    queue.check(cudaEventRecord(start_.get(), queue.stream()), "timing a matmul");
    for (int i = 0; i < kRepetitions; ++i) {
      if (!enqueue((kWarmUps + i) % count)) return kFailed;
    }
    queue.check(cudaEventRecord(stop_.get(), queue.stream()), "timing a matmul");
    queue.check(cudaEventSynchronize(stop_.get()), "timing a matmul");
    float time_ms = 0;
    queue.check(cudaEventElapsedTime(&time_ms, start_.get(), stop_.get()), "timing a matmul");
    return queue.is_usable() ? time_ms * 1000 / kRepetitions : kFailed;
  }

 private:
  using Event = Handle<cudaEvent_t, cudaEventDestroy>;

  static Event make_event() {
    cudaEvent_t event = nullptr;
    CHECK(cudaEventCreate(&event) == cudaSuccess);
    return Event(event);
  }

  Event start_;
  Event stop_;
};

bool is_aligned(const MatmulCall& call) {
  const auto bits = reinterpret_cast<uintptr_t>(call.x) | reinterpret_cast<uintptr_t>(call.weight) |
                    reinterpret_cast<uintptr_t>(call.out) |
                    reinterpret_cast<uintptr_t>(call.scratch.data);
  return bits % 256 == 0;
}

}  // namespace

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
                      const Enqueue& own,
                      const Enqueue& finish) {
  CHECK(!calls.empty());
  const MatmulShape& shape = calls[0].shape;
  for (const MatmulCall& call : calls) CHECK(call.shape == shape);
  Stopwatch stopwatch;
  const auto enqueue_own = [&](size_t i) {
    own(i);
    return true;
  };
  const Description description(calls[0], is_bf16_);
  MatmulChoice best;
  best.own_time_us = stopwatch.time_us(queue, calls.size(), enqueue_own);
  best.time_us = std::numeric_limits<float>::infinity();
  if (description.is_valid() && std::all_of(calls.begin(), calls.end(), is_aligned)) {
    for (const auto& algorithm : description.candidates(context_, calls[0].scratch.bytes)) {
      const auto enqueue = [&](size_t i) {
        if (description.enqueue(context_, algorithm, calls[i], queue.stream()) !=
            CUBLAS_STATUS_SUCCESS) {
          return false;
        }
        finish(i);
        return true;
      };
      const float time_us = stopwatch.time_us(queue, calls.size(), enqueue);
      if (time_us >= best.time_us) continue;
      best.time_us = time_us;
      best.algorithm = std::bit_cast<std::array<uint64_t, 8>>(algorithm);
    }
  }
  table_.note(shape, best);
}

bool CublasLt::run(CudaQueue& queue, const MatmulCall& call) const {
  const MatmulChoice* choice = table_.find(call.shape);
  if (choice == nullptr || !queue.is_usable() || !is_aligned(call)) return false;
  const Description description(call, is_bf16_);
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(*choice);
  if (!description.is_valid() || !description.accepts(context_, algorithm, call)) return false;
  return description.enqueue(context_, algorithm, call, queue.stream()) == CUBLAS_STATUS_SUCCESS;
}

}  // namespace trireme::cuda

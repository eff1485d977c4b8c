// The emulated cuBLASLt: plain products, enqueued as a kernel, so that streams, captures and traces
// see them. Algorithm i of n multiplies n - i times over: the last is the fastest.
#include <cublasLt.h>

#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/dtype.h"
#include "kernels/emulation/control.h"
#include "kernels/emulation/runtime.h"

struct cublasLtContext {};
struct cublasLtMatmulDescOpaque_t {
  cublasOperation_t transpose_a = CUBLAS_OP_N;
};
struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  int64_t rows;
  int64_t columns;
  int64_t stride;
};
struct cublasLtMatmulPreferenceOpaque_t {
  uint64_t workspace_bytes = 0;
};

namespace trireme::emulation {
namespace {

constexpr uint64_t kMagic = 0x7472'6972'656d'6521;
constexpr size_t kPointerAlignment =
    256;  // of every pointer: the default of the library's preferences

void store(void* data, int64_t index, cudaDataType_t type, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(data)[index] = value;
  } else if (type == CUDA_R_16BF) {
    static_cast<uint16_t*>(data)[index] = float_to_bf16(value);
  } else {
    static_cast<uint16_t*>(data)[index] = float_to_fp16(value);
  }
}

// One call: d[j, t] = sum_i a[i, j] b[i, t], column-major.
struct Product {
  const void* a;
  const void* b;
  void* d;
  cublasLtMatrixLayoutOpaque_t a_layout;
  cublasLtMatrixLayoutOpaque_t b_layout;
  cublasLtMatrixLayoutOpaque_t d_layout;
  std::byte* workspace;
  int64_t workspace_bytes;
  int times;

  // In kLanes partial sums, which the compiler can keep in vector registers.
  template <class Widen>
  void multiply_column(int64_t t, Widen widen) const {
    constexpr int64_t kLanes = 16;
    const int64_t k = a_layout.rows;
    std::vector<float> column(static_cast<size_t>(k));
    const auto* from = static_cast<const uint16_t*>(b) + t * b_layout.stride;
    for (int64_t i = 0; i < k; ++i) column[i] = widen(from[i]);
    for (int64_t j = 0; j < d_layout.rows; ++j) {
      const auto* row = static_cast<const uint16_t*>(a) + j * a_layout.stride;
      float sums[kLanes] = {};
      for (int64_t i = 0; i + kLanes <= k; i += kLanes) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          sums[lane] += widen(row[i + lane]) * column[i + lane];
        }
      }
      for (int64_t i = k / kLanes * kLanes; i < k; ++i) sums[0] += widen(row[i]) * column[i];
      store(d, t * d_layout.stride + j, d_layout.type, std::accumulate(sums, sums + kLanes, 0.0f));
    }
  }
};

void run_product(Product product) {
  const auto column = static_cast<int64_t>(blockIdx.x);
  for (int i = 0; i < product.times; ++i) {
    if (product.a_layout.type == CUDA_R_16BF) {
      product.multiply_column(column, [](bf16_t value) { return bf16_to_float(value); });
    } else {
      product.multiply_column(column, [](fp16_t value) { return fp16_to_float(value); });
    }
  }
  std::memset(
      product.workspace, 0xff, product.workspace_bytes);  // shows an overlap with the result
}

int64_t workspace_of(int index) { return int64_t{index} << 10; }

// Index of the algorithm, or -1: not one of this library.
int index_of(const cublasLtMatmulAlgo_t& algorithm) {
  const auto index = static_cast<int64_t>(algorithm.data[1]);
  const bool is_known =
      algorithm.data[0] == kMagic && index >= 0 && index < settings().cublaslt.num_algorithms;
  return is_known ? static_cast<int>(index) : -1;
}

bool is_supported(const cublasLtMatmulDescOpaque_t& matmul,
                  const cublasLtMatrixLayoutOpaque_t& a,
                  const cublasLtMatrixLayoutOpaque_t& b,
                  const cublasLtMatrixLayoutOpaque_t& d) {
  const bool fits = a.rows == b.rows && a.columns == d.rows && b.columns == d.columns &&
                    a.stride >= a.rows && b.stride >= b.rows && d.stride >= d.rows;
  const bool is_wide = a.stride % 8 == 0 && b.stride % 8 == 0;  // rows of 16 bytes
  return matmul.transpose_a == CUBLAS_OP_T && fits && is_wide && a.type == b.type &&
         a.type != CUDA_R_32F && (d.type == a.type || d.type == CUDA_R_32F) &&
         d.columns <= settings().cublaslt.max_rows;
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kPointerAlignment == 0;
}

cudaError_t enqueue(const Product& product, cudaStream_t stream) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(product.d_layout.columns));
  config.blockDim = dim3(1);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, run_product, product);
}

}  // namespace
}  // namespace trireme::emulation

std::array<uint64_t, 8> trireme::emulation::cublaslt_algorithm(int index) {
  return {kMagic, static_cast<uint64_t>(index)};
}

using trireme::emulation::enter;
using trireme::emulation::index_of;
using trireme::emulation::settings;
using trireme::emulation::workspace_of;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = nullptr;
  if (settings().cublaslt.version == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion() { return settings().cublaslt.version; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmul,
                                        cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *matmul = new cublasLtMatmulDescOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) {
  delete matmul;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value,
                                              size_t bytes) {
  if (attribute != CUBLASLT_MATMUL_DESC_TRANSA || bytes != sizeof(cublasOperation_t)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(&matmul->transpose_a, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout,
                                          cudaDataType_t type,
                                          uint64_t rows,
                                          uint64_t columns,
                                          int64_t stride) {
  *layout = new cublasLtMatrixLayoutOpaque_t{
      type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), stride};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value,
                                                    size_t bytes) {
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES || bytes != sizeof(uint64_t)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(&preference->workspace_bytes, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t matmul,
                                              cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference,
                                              int max_results,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* num_results) {
  *num_results = 0;
  for (int i = 0; i < settings().cublaslt.num_algorithms && *num_results < max_results; ++i) {
    const auto algorithm =
        std::bit_cast<cublasLtMatmulAlgo_t>(trireme::emulation::cublaslt_algorithm(i));
    cublasLtMatmulHeuristicResult_t& result = results[*num_results];
    const cublasStatus_t status =
        cublasLtMatmulAlgoCheck(handle, matmul, a, b, c, d, &algorithm, &result);
    const bool fits = result.workspaceSize <= preference->workspace_bytes;
    if (status == CUBLAS_STATUS_SUCCESS && fits) ++*num_results;
  }
  return *num_results > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t,
                                       cublasLtMatmulDesc_t matmul,
                                       cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t,
                                       cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
  *result = {};
  const int index = index_of(*algorithm);
  const bool is_known = index >= 0 && trireme::emulation::is_supported(*matmul, *a, *b, *d);
  result->algo = *algorithm;
  result->state = is_known ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
  result->workspaceSize = is_known ? static_cast<size_t>(workspace_of(index)) : 0;
  return result->state;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value,
                                                    size_t bytes,
                                                    size_t* written) {
  if (bytes != sizeof(uint32_t)) return CUBLAS_STATUS_INVALID_VALUE;
  const auto number = attribute == CUBLASLT_ALGO_CONFIG_ID
                          ? static_cast<uint32_t>(algorithm->data[1])
                          : uint32_t{1};
  std::memcpy(value, &number, bytes);
  if (written != nullptr) *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t,
                              cublasLtMatmulDesc_t matmul,
                              const void* alpha,
                              const void* a,
                              cublasLtMatrixLayout_t a_layout,
                              const void* b,
                              cublasLtMatrixLayout_t b_layout,
                              const void* beta,
                              const void*,
                              cublasLtMatrixLayout_t,
                              void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace,
                              size_t workspace_bytes,
                              cudaStream_t stream) {
  using trireme::emulation::is_aligned;
  if (enter("cublasLtMatmul", stream) != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  const int index = index_of(*algorithm);
  if (index < 0 || !trireme::emulation::is_supported(*matmul, *a_layout, *b_layout, *d_layout)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const bool is_plain =
      *static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 0;
  if (!is_plain || !is_aligned(a) || !is_aligned(b) || !is_aligned(d) || !is_aligned(workspace) ||
      static_cast<int64_t>(workspace_bytes) < workspace_of(index)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const auto& library = settings().cublaslt;
  const int times = library.work * (library.num_algorithms - index);
  const cudaError_t error = trireme::emulation::enqueue({a,
                                                         b,
                                                         d,
                                                         *a_layout,
                                                         *b_layout,
                                                         *d_layout,
                                                         static_cast<std::byte*>(workspace),
                                                         workspace_of(index),
                                                         times},
                                                        stream);
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

// cuBLASLt as an alternative to our matmul kernels for many rows, in the fast mode only, with an
// algorithm chosen by timing per shape. A program built without the library (no_cublaslt.cc) has
// none. Owner: the backend; used by its thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/matmul_table.h"

struct cublasLtContext;

namespace trireme::cuda {

// out[t, j] = sum_k x[t, k] W[j, k], j < shape.n. Pointers are 256-byte aligned, strides in
// elements.
struct MatmulCall {
  MatmulShape shape;
  const uint16_t* x = nullptr;
  const uint16_t* weight = nullptr;
  void* out = nullptr;
  int64_t x_stride = 0;
  int64_t weight_stride = 0;
  int64_t out_stride = 0;
  Workspace scratch;  // for the algorithm
};

class CublasLt {
 public:
  // Null if the library is missing or does not start. `device` names the GPU in the table's key.
  static std::unique_ptr<CublasLt> make(bool is_bf16, const std::string& device);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  // Times the library's algorithms, each followed by finish(i), against own(i), which enqueues our
  // kernels for calls[i], and stores the faster one in the table. All calls have one shape; their
  // weights are used in turn, so that none stays in L2. Waits for the queue; not for use in a step.
  using Enqueue = std::function<void(size_t)>;
  void choose(CudaQueue& queue,
              std::span<const MatmulCall> calls,
              const Enqueue& own,
              const Enqueue& finish);

  // Enqueues the call if the table lists it and the library supports it; false: nothing was
  // enqueued.
  bool run(CudaQueue& queue, const MatmulCall& call) const;

  const MatmulTable& table() const { return table_; }
  MatmulTable& table() { return table_; }

 private:
  CublasLt(cublasLtContext* context, bool is_bf16, std::string key)
      : context_(context), is_bf16_(is_bf16), table_(std::move(key)) {}

  cublasLtContext* context_;
  bool is_bf16_;
  MatmulTable table_;
};

}  // namespace trireme::cuda

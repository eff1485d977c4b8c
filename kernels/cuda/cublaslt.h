// cuBLASLt as an alternative to our matmul kernels for many rows, in the fast mode only, with an
// algorithm chosen by timing per shape. Owner: the backend; used by its thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/matmul_table.h"

struct cublasLtContext;

namespace trireme::cuda {

// out[t, j] = sum_k x[t, k] W[j, k], j < shape.n. Pointers are 256-byte aligned, strides in
// elements. The rows are divided into pieces, one call of the library each; every piece of a staged
// product is written to the same `out`.
struct MatmulCall {
  MatmulShape shape;
  const uint16_t* x = nullptr;
  const uint16_t* weight = nullptr;
  void* out = nullptr;
  int64_t x_stride = 0;
  int64_t weight_stride = 0;
  int64_t out_stride = 0;
  int32_t piece_rows = 0;  // of every piece but the last; without staging all rows
  Workspace scratch;       // for the algorithm; fewer than zero bytes: there is no room to stage
};

// Why the library does not compute a call. From kUnalignedX on it would have been the faster way.
enum class MatmulRefusal : uint8_t {
  kNone,
  kNotTimed,
  kSlower,
  kUnalignedX,
  kUnalignedWeight,
  kUnalignedOut,
  kUnalignedScratch,
  kNoRoom,
  kUnsupported,
  kFailed,
};
constexpr size_t kNumMatmulRefusals = 10;
const char* text_of(MatmulRefusal refusal);

class CublasLt {
 public:
  // Null if the library is missing or does not start. `device` names the GPU in the table's key.
  static std::unique_ptr<CublasLt> make(bool is_bf16, const std::string& device);
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  // Enqueues the epilogue of rows [first, first + rows), whose product is staged.
  using Finish = std::function<void(int32_t first, int32_t rows)>;

  // Times the library's algorithms, each with finish(i) after every piece, against own(i), which
  // enqueues our kernels for calls[i], and stores the faster one in the table. All calls have one
  // shape; their weights are used in turn, so that none stays in L2. A call that the library cannot
  // take is counted, and nothing is stored. Waits for the queue; not for use in a step.
  using EnqueueOwn = std::function<void(size_t)>;
  using FinishOf = std::function<Finish(size_t)>;
  void choose(CudaQueue& queue,
              std::span<const MatmulCall> calls,
              const EnqueueOwn& own,
              const FinishOf& finish);

  // Why run() would enqueue nothing.
  MatmulRefusal check(const MatmulCall& call) const;
  // Whether check() has no objection; counts those of the kinds that refused() reports.
  bool accepts(const MatmulCall& call);
  // Enqueues the call, with `finish` (if any) after each piece. False: the library does not take
  // it, and all rows are to be computed otherwise.
  bool run(CudaQueue& queue, const MatmulCall& call, const Finish& finish);

  // Calls that were refused although the table has the library as the faster way, by cause.
  std::vector<RefusedMatmuls> refused() const;
  // The algorithm in the library's numbers.
  static std::string describe(const MatmulChoice& choice);

  const MatmulTable& table() const { return table_; }
  MatmulTable& table() { return table_; }

 private:
  CublasLt(cublasLtContext* context, bool is_bf16, std::string key)
      : context_(context), is_bf16_(is_bf16), table_(std::move(key)) {}

  void count(MatmulRefusal refusal) { ++refusals_[static_cast<size_t>(refusal)]; }

  cublasLtContext* context_;
  bool is_bf16_;
  MatmulTable table_;
  std::array<int64_t, kNumMatmulRefusals> refusals_ = {};
};

}  // namespace trireme::cuda

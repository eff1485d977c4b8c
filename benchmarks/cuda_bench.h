// What the CUDA op benchmarks share: a device, random data on it, cases that take turns, and a JSON
// line a case. A case enqueues its op on one of several sets of inputs, which together are larger
// than L2; it is recorded as a graph of many turns, and rounds over all cases are timed by events,
// so that a change of clocks meets all alike. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/backend.h"

namespace trireme {

struct CudaBenchOptions {
  int device = 0;
  int rounds = 20;
  std::string only;             // cases whose op has this in its name; empty: all
  bool tiny = false;            // shapes that an emulated device can carry
  double bytes_per_s = 4.3e12;  // what a copy reaches on an H200, the floor's first half
  double flops_per_s = 790e12;  // what a bf16 matmul of 8192^3 reaches there, its second
};

class CudaBench {
 public:
  struct Case {
    std::string op;
    std::string shape;
    double bytes = 0;  // that one call has to move
    double flops = 0;
    int num_sets = 1;                  // of inputs
    std::function<void(int)> enqueue;  // the op on that set
  };

  static StatusOr<std::unique_ptr<CudaBench>> make(const CudaBenchOptions& options);

  const CudaBenchOptions& options() const { return options_; }
  cuda::CudaBackend& backend() { return *backend_; }
  // The same device; linear() there takes cuBLASLt where tune_linear() found it faster.
  cuda::CudaBackend& tuned_backend() { return *tuned_; }
  cuda::CudaQueue& queue() { return *queue_; }
  Workspace& workspace() { return workspace_; }
  DType dtype() const { return DType::kBFloat16; }

  // How many sets of inputs of `bytes` it takes to pass L2 twice, at most `most`.
  int sets_past_cache(double bytes, int most = 64) const;
  // Device memory that lives as long as the bench: zeros, or random values of [-scale, scale).
  std::byte* zeros(int64_t bytes);
  Tensor random(DType dtype, int64_t rows, int64_t columns, float scale = 1);
  // Packs a random [n, k] weight; owned by the bench.
  const Weight* random_weight(int64_t n, int64_t k, WeightLayout layout);
  template <class T>
  T* put(const std::vector<T>& values) {
    std::byte* place = zeros(static_cast<int64_t>(values.size() * sizeof(T)));
    backend_->upload(*queue_, place, std::as_bytes(std::span(values)));
    return reinterpret_cast<T*>(place);
  }

  void add(Case bench_case);
  // Measures all cases and prints their lines; a failure of the device is the Status.
  Status run();

 private:
  explicit CudaBench(const CudaBenchOptions& options) : options_(options) {}

  int turns_of(const Case& bench_case) const;
  Status record_all();
  Status time_rounds();
  void print(size_t index) const;

  CudaBenchOptions options_;
  std::unique_ptr<Backend> owned_backend_, owned_tuned_;
  cuda::CudaBackend* backend_ = nullptr;
  cuda::CudaBackend* tuned_ = nullptr;
  std::unique_ptr<Queue> owned_queue_;
  cuda::CudaQueue* queue_ = nullptr;
  int64_t cache_bytes_ = 0;
  Workspace workspace_;
  std::vector<Buffer> memory_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<uint16_t> noise_;  // bf16 of [-1, 1)
  std::vector<Case> cases_;
  std::vector<std::vector<float>> times_us_;  // of one call, by case and round
};

// Reads `bytes` once and keeps nothing: the rate that a kernel bound by memory can reach.
void enqueue_read(cuda::CudaQueue& queue, const std::byte* data, int64_t bytes, uint32_t* sink);

// cuda_bench_ops.cc: the cases.
void add_read_cases(CudaBench& bench);
void add_attention_cases(CudaBench& bench);
void add_linear_cases(CudaBench& bench);
void add_row_cases(CudaBench& bench);

}  // namespace trireme

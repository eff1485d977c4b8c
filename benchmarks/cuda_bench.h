// Framework of the CUDA op benchmarks: a device, random data on it, cases that take turns, and one
// JSON line per case. A case enqueues its op on one of several sets of inputs, which together
// exceed L2. It is captured as a graph of many turns, and rounds over all cases are timed by
// events, so that a change of clocks affects all cases alike. Single-threaded.
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
  std::string only;             // cases whose op name contains this; empty: all
  bool exact = false;           // `only` is the whole name
  std::string shape;            // cases whose shape begins with this
  bool list = false;            // print op and shape of the cases, measure none
  bool tiny = false;            // shapes small enough for an emulated device
  double bytes_per_s = 4.3e12;  // rate of a copy on an H200, for the lower bound by bytes
  double flops_per_s = 790e12;  // rate of a bf16 matmul of 8192^3 there, for the bound by flops
};

class CudaBench {
 public:
  struct Case {
    std::string op;
    std::string shape;
    double bytes = 0;  // minimum moved by one call
    double flops = 0;
    std::string algorithm;             // of a matmul
    int num_sets = 1;                  // of inputs
    std::function<void(int)> enqueue;  // the op on that set
  };

  static StatusOr<std::unique_ptr<CudaBench>> make(const CudaBenchOptions& options);

  const CudaBenchOptions& options() const { return options_; }
  cuda::CudaBackend& backend() { return *backend_; }
  // The same device; its linear() uses cuBLASLt where tune_linear() found it faster.
  cuda::CudaBackend& tuned_backend() { return *tuned_; }
  cuda::CudaQueue& queue() { return *queue_; }
  Workspace& workspace() { return workspace_; }
  DType dtype() const { return DType::kBFloat16; }

  // The number of sets of inputs of `bytes` that exceeds L2 twice, at most `most`.
  int sets_past_cache(double bytes, int most = 64) const;
  // Device memory owned by the bench: zeros, or random values in [-scale, scale).
  std::byte* zeros(int64_t bytes);
  Tensor random(DType dtype, int64_t rows, int64_t columns, float scale = 1);
  // Packs a random [n, k] weight, owned by the bench.
  const Weight* random_weight(int64_t n, int64_t k, WeightLayout layout);
  template <class T>
  T* put(const std::vector<T>& values) {
    std::byte* place = zeros(static_cast<int64_t>(values.size() * sizeof(T)));
    backend_->upload(*queue_, place, std::as_bytes(std::span(values)));
    return reinterpret_cast<T*>(place);
  }

  // Whether a case is to be measured. Ask before building its inputs, which can take seconds.
  bool wants(const std::string& op, const std::string& shape) const;
  // Of a case that is wanted.
  void add(Case bench_case);
  // Measures all cases and prints their lines; fails if the device does.
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
  int64_t built_bytes_ = 0;  // of the cases' data, as reported
  std::vector<Buffer> memory_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<uint16_t> noise_;  // bf16 of [-1, 1)
  std::vector<Case> cases_;
  std::vector<std::vector<float>> times_us_;  // per call, by case and round
};

// Reads `bytes` once and discards them: the maximum rate of a kernel bound by memory.
void enqueue_read(cuda::CudaQueue& queue, const std::byte* data, int64_t bytes, uint32_t* sink);

// cuda_bench_ops.cc: the cases.
void add_read_cases(CudaBench& bench);
void add_attention_cases(CudaBench& bench);
void add_linear_cases(CudaBench& bench);
void add_row_cases(CudaBench& bench);

}  // namespace trireme

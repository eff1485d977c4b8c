// Shared by the op benchmarks: one backend per tier, dtype and thread count, and device data.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_tiers.h"
#include "base/text.h"
#include "kernels/cpu_backend.h"

namespace trireme {

struct BenchBackend {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Queue> queue;
  Buffer scratch;
  Workspace workspace;

  explicit BenchBackend(const CpuBackendOptions& options)
      : backend(make_cpu_backend(options).value()), queue(backend->make_queue()) {
    const int64_t bytes = backend->workspace_bytes({512, 16384, 131072, 131072});
    scratch = backend->allocate(bytes, "scratch").value();
    workspace = {scratch.data(), bytes};
  }
  Buffer memory(int64_t bytes) { return backend->allocate(bytes, "data").value(); }
};

inline std::vector<int> thread_counts() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return cores > 1 ? std::vector<int>{1, cores} : std::vector<int>{1};
}

using BenchBody = std::function<void(benchmark::State&, const CpuBackendOptions&)>;

// Registers `body` for every tier, dtype and thread count as name/isa/dtype/threads.
inline void register_tiers(const std::string& name,
                           const std::vector<DType>& types,
                           const BenchBody& body) {
  for (const std::string_view tier : kCpuTiers) {
    const std::string isa(tier);
    for (const DType dtype : types) {
      for (const int threads : thread_counts()) {
        const CpuBackendOptions options = {threads, dtype, isa};
        if (!make_cpu_backend({1, dtype, isa}).ok()) continue;
        const std::string full =
            format_text("{}/{}/{}/threads:{}", name, isa, std::string(name_of(dtype)), threads);
        benchmark::RegisterBenchmark(full.c_str(), [body, options](benchmark::State& state) {
          body(state, options);
        })->UseRealTime();
      }
    }
  }
}

inline void fill_random(Tensor tensor, uint32_t seed, float scale = 1) {
  std::minstd_rand random(seed);
  for (int64_t row = 0; row < tensor.rows; ++row) {
    for (int64_t i = 0; i < tensor.columns; ++i) {
      const float value = scale * (static_cast<float>(random() % 2001) / 1000 - 1);
      if (tensor.dtype == DType::kFloat32) {
        tensor.row<float>(row)[i] = value;
      } else {
        tensor.row<bf16_t>(row)[i] = float_to_bf16(value);
      }
    }
  }
}

// A rate per second of wall time.
inline benchmark::Counter rate(double an_iteration) {
  return benchmark::Counter(
      an_iteration, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

inline int run_benchmarks(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace trireme

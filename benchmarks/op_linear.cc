// y = x W^T: `bytes` is the rate at which packed weights are read, `flops` the arithmetic.
// The first line is the rate at which all cores read memory, which bounds decode.
#include "benchmarks/op_bench.h"
#include "kernels/cpu/thread_pool.h"

namespace trireme {
namespace {

struct Shape {
  int64_t rows, n, k;
};

void read_stream(benchmark::State& state) {
  constexpr int64_t kWords = 32 << 20;  // 256 MiB
  ThreadPool pool(thread_counts().back());
  const auto backend = make_cpu_backend({}).value();
  const Buffer buffer = backend->allocate(kWords * 8, "a stream").value();
  auto* words = reinterpret_cast<uint64_t*>(buffer.data());
  std::fill_n(words, kWords, 1);
  for (auto _ : state) {
    pool.run([&](int member, int num_members) {
      uint64_t sum = 0;
      const int64_t end = kWords * (member + 1) / num_members;
      for (int64_t i = kWords * member / num_members; i < end; ++i) sum += words[i];
      benchmark::DoNotOptimize(sum);
    });
  }
  state.counters["bytes"] = rate(kWords * 8.0);
  state.counters["flops"] = rate(0);  // a CSV report needs the same counters in every line
}

void linear(benchmark::State& state, const CpuBackendOptions& options, const Shape& shape) {
  BenchBackend bench(options);
  const int64_t unit = size_of(options.dtype);
  const Buffer source = bench.memory(shape.n * shape.k * unit);
  const Tensor part = source.as(options.dtype, shape.n, shape.k);
  fill_random(part, 1, 0.05f);
  const auto weight = bench.backend->pack(std::span(&part, 1), {}).value();
  const Buffer x_memory = bench.memory(shape.rows * shape.k * unit);
  const Buffer out_memory = bench.memory(shape.rows * shape.n * 4);
  const Tensor x = x_memory.as(options.dtype, shape.rows, shape.k);
  fill_random(x, 2);
  const Tensor out = out_memory.as(DType::kFloat32, shape.rows, shape.n);
  for (auto _ : state) {
    bench.backend->linear(*bench.queue, bench.workspace, x, *weight, {}, out);
  }
  state.counters["bytes"] = rate(static_cast<double>(weight->bytes()));
  state.counters["flops"] = rate(2.0 * static_cast<double>(shape.rows * shape.n * shape.k));
}

void register_all() {
  benchmark::RegisterBenchmark("read_stream", read_stream)->UseRealTime();
  // Demo model: gate and up of one layer (in cache). Then q, k and v of one layer of Llama 3 8B.
  for (const Shape& shape : {Shape{1, 1408, 256},
                             Shape{1, 6144, 4096},
                             Shape{4, 6144, 4096},
                             Shape{16, 6144, 4096},
                             Shape{512, 2048, 2048}}) {
    register_tiers(format_text("linear/{}x{}x{}", shape.rows, shape.k, shape.n),
                   {DType::kBFloat16, DType::kFloat32},
                   [shape](benchmark::State& state, const CpuBackendOptions& options) {
                     linear(state, options, shape);
                   });
  }
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::register_all();
  return trireme::run_benchmarks(argc, argv);
}

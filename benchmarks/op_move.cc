// Ops that only move or add rows: embed, gather_rows, add (one step of a reduction), copy_pages.
// `bytes` counts each array read or written once.
#include "benchmarks/op_bench.h"

namespace trireme {
namespace {

constexpr int64_t kWidth = 2048;

void embed(benchmark::State& state, const CpuBackendOptions& options, int32_t rows) {
  constexpr int64_t kVocabulary = 4'000;
  BenchBackend bench(options);
  const Buffer weight_memory = bench.memory(kVocabulary * kWidth * size_of(options.dtype));
  const Tensor stored = weight_memory.as(options.dtype, kVocabulary, kWidth);
  fill_random(stored, 1);
  const auto weight = bench.backend->pack(std::span(&stored, 1), WeightSpec{}).value();
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < rows; ++i) ids.push_back(static_cast<int32_t>(i * 7919 % kVocabulary));
  BatchView batch = {};
  batch.num_tokens = rows;
  batch.token_ids = ids.data();
  const Buffer out_memory = bench.memory(rows * kWidth * 4);
  const Tensor out = out_memory.as(DType::kFloat32, rows, kWidth);
  for (auto _ : state) bench.backend->embed(*bench.queue, batch, *weight, 0, out);
  state.counters["bytes"] = rate(static_cast<double>(rows * kWidth * (4 + size_of(options.dtype))));
}

void gather_rows(benchmark::State& state, const CpuBackendOptions& options, int32_t rows) {
  BenchBackend bench(options);
  const Buffer in_memory = bench.memory(512 * kWidth * 4);
  const Buffer out_memory = bench.memory(rows * kWidth * 4);
  const Tensor in = in_memory.as(DType::kFloat32, 512, kWidth);
  const Tensor out = out_memory.as(DType::kFloat32, rows, kWidth);
  std::vector<int32_t> chosen;
  for (int32_t i = 0; i < rows; ++i) chosen.push_back((i * 37) % 512);
  for (auto _ : state) bench.backend->gather_rows(*bench.queue, in, chosen.data(), out);
  state.counters["bytes"] = rate(static_cast<double>(rows * kWidth * 8));
}

void add(benchmark::State& state, const CpuBackendOptions& options, int32_t rows) {
  BenchBackend bench(options);
  const Buffer sum_memory = bench.memory(rows * kWidth * 4);
  const Buffer other_memory = bench.memory(rows * kWidth * 4);
  const Tensor sum = sum_memory.as(DType::kFloat32, rows, kWidth);
  const Tensor other = other_memory.as(DType::kFloat32, rows, kWidth);
  for (auto _ : state) bench.backend->add(*bench.queue, sum, other);
  state.counters["bytes"] = rate(static_cast<double>(rows * kWidth * 12));
}

void copy_pages(benchmark::State& state, const CpuBackendOptions& options, int32_t count) {
  BenchBackend bench(options);
  KvPages pages;
  pages.layout = bench.backend->kv_layout(64);
  pages.num_pages = 2 * count;
  pages.num_layers = 8;
  pages.num_heads = 4;
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.head_stride * pages.num_heads;
  pages.page_stride = pages.layer_stride * pages.num_layers;
  const Buffer cache = bench.memory(pages.num_pages * pages.page_stride);
  pages.base = cache.data();
  std::vector<int32_t> from, to;
  for (int32_t i = 0; i < count; ++i) {
    from.push_back(i);
    to.push_back(count + i);
  }
  for (auto _ : state)
    bench.backend->copy_pages(*bench.queue, pages, from.data(), to.data(), count);
  state.counters["bytes"] = rate(static_cast<double>(2 * count * pages.page_stride));
}

void register_all() {
  const struct {
    const char* name;
    void (*run)(benchmark::State&, const CpuBackendOptions&, int32_t);
  } ops[] = {
      {"embed", embed}, {"gather_rows", gather_rows}, {"add", add}, {"copy_pages", copy_pages}};
  for (const auto& op : ops) {
    for (const int32_t rows : {1, 256}) {
      register_tiers(format_text("{}/{}", op.name, rows),
                     {DType::kBFloat16},
                     [op, rows](benchmark::State& state, const CpuBackendOptions& options) {
                       op.run(state, options, rows);
                     });
    }
  }
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::register_all();
  return trireme::run_benchmarks(argc, argv);
}

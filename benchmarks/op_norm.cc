// residual += delta, out = norm(residual), and rope with the page write: `bytes` counts each array
// read or written once.
#include "benchmarks/op_bench.h"

namespace trireme {
namespace {

void add_norm(benchmark::State& state, const CpuBackendOptions& options, int64_t rows) {
  constexpr int64_t kWidth = 2048;
  BenchBackend bench(options);
  const Buffer residual_memory = bench.memory(rows * kWidth * 4);
  const Buffer delta_memory = bench.memory(rows * kWidth * 4);
  const Buffer out_memory = bench.memory(rows * kWidth * 4);
  const Tensor residual = residual_memory.as(DType::kFloat32, rows, kWidth);
  const Tensor delta = delta_memory.as(DType::kFloat32, rows, kWidth);
  const Tensor out = out_memory.as(options.dtype, rows, kWidth);
  fill_random(residual, 1);
  const std::vector<float> weight(kWidth, 1.0f);
  Norm norm;
  norm.weight = {weight.data(), kWidth};
  for (auto _ : state) bench.backend->add_norm(*bench.queue, residual, &delta, {}, norm, out);
  state.counters["bytes"] =
      rate(static_cast<double>(rows * kWidth * (12 + size_of(options.dtype))));
}

void qkv_finish(benchmark::State& state, const CpuBackendOptions& options, int32_t rows) {
  const HeadShape heads = {32, 8, 64};
  BenchBackend bench(options);
  KvPages pages;
  pages.layout = bench.backend->kv_layout(heads.head_dim);
  pages.num_pages = 16;
  pages.num_layers = 1;
  pages.num_heads = heads.num_kv_heads;
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.page_stride = pages.head_stride * heads.num_kv_heads;
  const Buffer cache = bench.memory(pages.num_pages * pages.page_stride);
  pages.base = cache.data();
  std::vector<int32_t> positions, slots(rows, 0), table;
  for (int32_t i = 0; i < rows; ++i) positions.push_back(i);
  for (int32_t i = 0; i < 16; ++i) table.push_back(i);
  const int32_t starts[] = {0, rows};
  BatchView batch;
  batch.num_tokens = rows;
  batch.num_segments = 1;
  batch.is_mixed = rows > 1;
  batch.positions = positions.data();
  batch.slots = slots.data();
  batch.segment_starts = starts;
  batch.page_table = table.data();
  batch.page_table_stride = 16;
  const int64_t columns = 48 * 64;
  const Buffer qkv_memory = bench.memory(rows * columns * 4);
  const Buffer q_memory = bench.memory(rows * columns * 4);
  const Tensor qkv = qkv_memory.as(DType::kFloat32, rows, columns);
  const Tensor q = q_memory.as(DType::kFloat32, rows, 32 * 64);
  fill_random(qkv, 1);
  std::vector<float>
      angles;  // a rotation keeps lengths, so that repeated runs never reach subnormals
  for (int i = 0; i < 512 * 32; ++i) angles.insert(angles.end(), {0.8f, 0.6f});
  QkvSpec spec;
  spec.shape = heads;
  spec.rope = {angles.data(), 512, 64};
  for (auto _ : state) {
    bench.backend->qkv_finish(*bench.queue, batch, qkv, spec, pages, 0, q);
  }
  state.counters["bytes"] = rate(static_cast<double>(rows * columns * 8));
}

void register_all() {
  for (const int32_t rows : {1, 512}) {
    register_tiers(format_text("add_norm/{}", rows),
                   {DType::kBFloat16},
                   [rows](benchmark::State& state, const CpuBackendOptions& options) {
                     add_norm(state, options, rows);
                   });
    register_tiers(format_text("qkv_finish/{}", rows),
                   {DType::kBFloat16},
                   [rows](benchmark::State& state, const CpuBackendOptions& options) {
                     qkv_finish(state, options, rows);
                   });
  }
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::register_all();
  return trireme::run_benchmarks(argc, argv);
}

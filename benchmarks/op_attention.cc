// Paged attention: `bytes` is the rate at which K and V are read once per KV head, `flops` counts
// four operations per query head, visible token and dimension.
#include "benchmarks/op_bench.h"

namespace trireme {
namespace {

struct Shape {
  int32_t segments;  // slots
  int32_t count;     // new tokens per slot
  int32_t context;   // tokens before them
  HeadShape heads;
};

void attention(benchmark::State& state, const CpuBackendOptions& options, const Shape& shape) {
  BenchBackend bench(options);
  const HeadShape& heads = shape.heads;
  const int32_t tokens = shape.segments * shape.count;
  KvPages pages;
  pages.layout = bench.backend->kv_layout(heads.head_dim);
  const int32_t page_tokens = pages.layout.page_tokens;
  const int32_t slot_pages = (shape.context + shape.count + page_tokens - 1) / page_tokens;
  pages.num_pages = int64_t{shape.segments} * slot_pages;
  pages.num_layers = 1;
  pages.num_heads = heads.num_kv_heads;
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.page_stride = pages.head_stride * heads.num_kv_heads;
  const Buffer cache = bench.memory(pages.num_pages * pages.page_stride);
  pages.base = cache.data();
  fill_random(cache.as(options.dtype, 1, cache.bytes() / size_of(options.dtype)), 1);

  std::vector<int32_t> positions, slots, table, starts = {0};
  for (int32_t page = 0; page < pages.num_pages; ++page) table.push_back(page);
  double visible = 0;
  for (int32_t token = 0; token < tokens; ++token) {
    slots.push_back(token / shape.count);
    positions.push_back(shape.context + token % shape.count);
    visible += positions.back() + 1;
    if (token % shape.count == shape.count - 1) starts.push_back(token + 1);
  }
  BatchView batch;
  batch.num_tokens = tokens;
  batch.num_segments = shape.segments;
  batch.is_mixed = shape.count > 1;
  batch.positions = positions.data();
  batch.slots = slots.data();
  batch.segment_starts = starts.data();
  batch.page_table = table.data();
  batch.page_table_stride = slot_pages;
  const int64_t width = int64_t{heads.num_heads} * heads.head_dim;
  const Buffer q_memory = bench.memory(tokens * width * 4);
  const Buffer out_memory = bench.memory(tokens * width * 4);
  const Tensor q = q_memory.as(DType::kFloat32, tokens, width);
  const Tensor out = out_memory.as(options.dtype, tokens, width);
  fill_random(q, 2);
  const AttentionSpec spec = {heads, 0.125f, 0, 0};
  for (auto _ : state) {
    bench.backend->attention(*bench.queue, bench.workspace, batch, q, spec, {}, pages, 0, out);
  }
  state.counters["bytes"] = rate(static_cast<double>(cache.bytes()));
  state.counters["flops"] = rate(4.0 * visible * static_cast<double>(width));
}

void register_all() {
  struct Row {
    const char* name;
    Shape shape;
  };
  const Row rows[] = {
      {"demo_decode_at_200", {1, 1, 200, {8, 4, 32}}},
      {"decode_1_at_2000", {1, 1, 2000, {32, 8, 64}}},
      {"decode_16_at_2000", {16, 1, 2000, {32, 8, 64}}},
      {"prefill_512", {1, 512, 0, {32, 8, 64}}},
      {"llama_8b_decode_at_2000", {1, 1, 2000, {32, 8, 128}}},
      {"llama_8b_prefill_512", {1, 512, 0, {32, 8, 128}}},
  };
  for (const Row& row : rows) {
    register_tiers(format_text("attention/{}", row.name),
                   {DType::kBFloat16, DType::kFloat32},
                   [shape = row.shape](benchmark::State& state, const CpuBackendOptions& options) {
                     attention(state, options, shape);
                   });
  }
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::register_all();
  return trireme::run_benchmarks(argc, argv);
}

// The cases of the CUDA op benchmarks: a plain read, attention, the matrices of Llama 3.1 8B, norms
// and rows. `bytes` and `flops` are the minimum of the op, independent of the kernel.
#include <array>
#include <numeric>

#include "base/text.h"
#include "benchmarks/cuda_bench.h"

namespace trireme {

namespace {

constexpr HeadShape kHeads = {32, 8, 128};  // Llama 3.1 8B
constexpr int64_t kHidden = 4096;

struct Load {
  int32_t requests;
  int32_t count;    // new tokens per request
  int32_t context;  // tokens before them
};

struct Matmul {
  const char* name;
  int64_t n, k;
  Activation activation;
  std::vector<int64_t> rows;
};

// Pages and batch of an attention case; `layers` copies of the cache take turns.
struct Paged {
  KvPages pages;
  BatchView batch;
  double visible = 0;  // pairs of a new token and a token it sees
  double kv_bytes = 0;
};

BatchView put_batch(CudaBench& bench, const Load& load, int32_t slot_pages) {
  std::vector<int32_t> positions, slots, starts = {0};
  for (int32_t request = 0; request < load.requests; ++request) {
    for (int32_t i = 0; i < load.count; ++i) {
      positions.push_back(load.context + i);
      slots.push_back(request);
    }
    starts.push_back(static_cast<int32_t>(positions.size()));
  }
  // The pages of a request are scattered, as after some time of serving.
  const int32_t num_pages = load.requests * slot_pages;
  int32_t step = num_pages / 2 + 1;
  while (std::gcd(step, num_pages) != 1) ++step;
  std::vector<int32_t> table(num_pages);
  for (int64_t i = 0; i < num_pages; ++i) table[i] = static_cast<int32_t>(i * step % num_pages);
  BatchView batch;
  batch.num_tokens = load.requests * load.count;
  batch.num_segments = load.requests;
  batch.positions = bench.put(positions);
  batch.slots = bench.put(slots);
  batch.segment_starts = bench.put(starts);
  batch.page_table = bench.put(table);
  batch.page_table_stride = slot_pages;
  return batch;
}

Paged make_paged(CudaBench& bench, const HeadShape& heads, const Load& load) {
  Paged paged;
  KvPages& pages = paged.pages;
  pages.layout = bench.backend().kv_layout(heads.head_dim);
  const int32_t length = load.context + load.count;
  const int32_t page_tokens = pages.layout.page_tokens;
  const int32_t slot_pages = (length + page_tokens - 1) / page_tokens;
  pages.num_pages = int64_t{load.requests} * slot_pages;
  pages.num_heads = heads.num_kv_heads;
  pages.head_stride = pages.layout.block_bytes();
  pages.layer_stride = pages.head_stride * pages.num_heads;
  const double row_bytes = 2.0 * heads.head_dim * size_of(bench.dtype()) * heads.num_kv_heads;
  paged.kv_bytes = row_bytes * load.requests * length;
  pages.num_layers = bench.sets_past_cache(paged.kv_bytes);
  pages.page_stride = pages.layer_stride * pages.num_layers;
  pages.base = bench.random(bench.dtype(), pages.num_pages, pages.page_stride / 2).data;
  paged.batch = put_batch(bench, load, slot_pages);
  for (int32_t i = 0; i < load.count; ++i) paged.visible += load.requests * (load.context + i + 1);
  return paged;
}

std::string shape_of(const HeadShape& heads, const Load& load) {
  return format_text("{}x{}+{} heads {}/{} of {}",
                     load.requests,
                     load.count,
                     load.context,
                     heads.num_heads,
                     heads.num_kv_heads,
                     heads.head_dim);
}

void add_attention(CudaBench& bench, const HeadShape& heads, const Load& load) {
  CudaBench::Case attention;
  attention.op = load.count == 1 ? "attention_decode" : "attention_prefill";
  attention.shape = shape_of(heads, load);
  if (!bench.wants(attention.op, attention.shape)) return;
  const Paged paged = make_paged(bench, heads, load);
  const int32_t tokens = paged.batch.num_tokens;
  const int64_t width = int64_t{heads.num_heads} * heads.head_dim;
  const AttentionSpec spec = {heads, 0.088f, 0, 0};
  const AttentionPlan plan = {
      bench.zeros(bench.backend().attention_plan_bytes(tokens, load.requests, heads))};
  const Tensor q = bench.random(bench.dtype(), tokens, width);
  const Tensor out(bench.zeros(q.bytes()), bench.dtype(), tokens, width);
  bench.backend().plan_attention(bench.queue(), paged.batch, spec, paged.pages, plan);
  attention.bytes = paged.kv_bytes + 2.0 * static_cast<double>(q.bytes());
  attention.flops = 4.0 * paged.visible * static_cast<double>(width);
  attention.num_sets = paged.pages.num_layers;
  attention.enqueue = [&bench, paged, q, spec, plan, out](int set) {
    bench.backend().attention(
        bench.queue(), bench.workspace(), paged.batch, q, spec, plan, paged.pages, set, out);
  };
  bench.add(std::move(attention));
}

std::string shape_of(const Matmul& matmul, int64_t rows) {
  return format_text("{} {}x{}x{}", matmul.name, rows, matmul.n, matmul.k);
}

// Our kernels for the shape and the choice after tuning, which `algorithm` names: the same kernels
// again, if cuBLASLt is missing or slower.
void add_linear(CudaBench& bench, Matmul matmul) {
  constexpr const char* kOps[] = {"linear", "linear_tuned"};
  std::erase_if(matmul.rows, [&](int64_t rows) {
    const std::string shape = shape_of(matmul, rows);
    return !bench.wants(kOps[0], shape) && !bench.wants(kOps[1], shape);
  });
  if (matmul.rows.empty()) return;
  const int num_sets = bench.sets_past_cache(2.0 * static_cast<double>(matmul.n * matmul.k), 4);
  const bool is_gated = matmul.activation == Activation::kSiluGate;
  std::vector<const Weight*> weights;
  for (int i = 0; i < num_sets; ++i) {
    weights.push_back(bench.random_weight(
        matmul.n, matmul.k, is_gated ? WeightLayout::kGateUp : WeightLayout::kRows));
  }
  Epilogue epilogue;
  epilogue.activation = matmul.activation;
  for (const int64_t rows : matmul.rows) {
    const Tensor x = bench.random(bench.dtype(), rows, matmul.k);
    const int64_t columns = is_gated ? matmul.n / 2 : matmul.n;
    const Tensor out(bench.zeros(rows * columns * 2), bench.dtype(), rows, columns);
    CudaBench::Case linear;
    linear.shape = shape_of(matmul, rows);
    linear.bytes = 2.0 * static_cast<double>(matmul.n * matmul.k + rows * (matmul.k + columns));
    linear.flops = 2.0 * static_cast<double>(rows * matmul.n * matmul.k);
    linear.num_sets = num_sets;
    for (const bool is_tuned : {false, true}) {
      cuda::CudaBackend* backend = is_tuned ? &bench.tuned_backend() : &bench.backend();
      linear.op = kOps[is_tuned];
      if (!bench.wants(linear.op, linear.shape)) continue;
      if (is_tuned) {
        backend->tune_linear(bench.queue(), bench.workspace(), x, weights, epilogue, out);
      }
      linear.algorithm = backend->describe_linear(
          bench.queue(), bench.workspace(), {x, weights[0], epilogue, out});
      linear.enqueue = [&bench, backend, weights, x, epilogue, out](int set) {
        backend->linear(bench.queue(), bench.workspace(), x, *weights[set], epilogue, out);
      };
      bench.add(linear);
    }
  }
}

// A matmul and the norm that follows, in one launch and in two.
void add_linear_norm(CudaBench& bench, int64_t rows, int64_t n, int64_t k) {
  CudaBench::Case both;
  both.shape = format_text("{}x{}x{}", rows, n, k);
  const std::array<std::string, 2> ops = {"linear_add_norm", "linear_then_add_norm"};
  const std::array<bool, 2> wanted = {bench.wants(ops[0], both.shape),
                                      bench.wants(ops[1], both.shape)};
  if (!wanted[0] && !wanted[1]) return;
  both.bytes = 2.0 * static_cast<double>(n * k + rows * (k + 3 * n));
  both.flops = 2.0 * static_cast<double>(rows * n * k);
  both.num_sets = bench.sets_past_cache(2.0 * static_cast<double>(n * k), 4);
  std::vector<const Weight*> weights;
  for (int i = 0; i < both.num_sets; ++i) {
    weights.push_back(bench.random_weight(n, k, WeightLayout::kRows));
  }
  const Tensor x = bench.random(bench.dtype(), rows, k, 0.01f);
  NormedSum sum;
  sum.delta = bench.random(bench.dtype(), rows, n);
  sum.residual = bench.random(bench.dtype(), rows, n);
  sum.norm.weight = {bench.put(std::vector<float>(n, 0.5f)), n};
  sum.out = bench.random(bench.dtype(), rows, n);
  both.op = ops[0];
  both.enqueue = [&bench, weights, x, sum](int set) {
    bench.backend().linear_add_norm(bench.queue(), bench.workspace(), x, *weights[set], sum);
  };
  if (wanted[0]) bench.add(both);
  both.op = ops[1];
  both.enqueue = [&bench, weights, x, sum](int set) {
    bench.backend().Backend::linear_add_norm(
        bench.queue(), bench.workspace(), x, *weights[set], sum);
  };
  if (wanted[1]) bench.add(both);
}

void add_norm_case(CudaBench& bench, int64_t rows, int64_t width) {
  CudaBench::Case add_norm;
  add_norm.op = "add_norm";
  add_norm.shape = format_text("{}x{}", rows, width);
  if (!bench.wants(add_norm.op, add_norm.shape)) return;
  const double row_bytes = 4.0 * static_cast<double>(rows * width * size_of(bench.dtype()));
  const int num_sets = bench.sets_past_cache(row_bytes, 8);
  std::vector<std::array<Tensor, 3>> sets;
  for (int i = 0; i < num_sets; ++i) {
    sets.push_back({bench.random(bench.dtype(), rows, width, 0.01f),
                    bench.random(bench.dtype(), rows, width, 0.01f),
                    bench.random(bench.dtype(), rows, width)});
  }
  Norm norm;
  norm.weight = {bench.put(std::vector<float>(width, 0.5f)), width};
  add_norm.bytes = row_bytes;
  add_norm.num_sets = num_sets;
  add_norm.enqueue = [&bench, sets, norm](int set) {
    const auto& [residual, delta, out] = sets[set];
    bench.backend().add_norm(bench.queue(), residual, &delta, {}, norm, out);
  };
  bench.add(std::move(add_norm));
}

// q and k rotated, k and v written to the pages, q to its matrix.
void add_qkv_finish(CudaBench& bench, const HeadShape& heads, const Load& load) {
  CudaBench::Case finish;
  finish.op = "qkv_finish";
  finish.shape = shape_of(heads, load);
  if (!bench.wants(finish.op, finish.shape)) return;
  const Paged paged = make_paged(bench, heads, load);
  const int32_t tokens = paged.batch.num_tokens;
  const int64_t q_width = int64_t{heads.num_heads} * heads.head_dim;
  const int64_t width = q_width + int64_t{2} * heads.num_kv_heads * heads.head_dim;
  const int32_t positions = load.context + load.count;
  const Tensor table = bench.random(DType::kFloat32, positions, heads.head_dim);
  const Tensor qkv = bench.random(bench.dtype(), tokens, width);
  const Tensor q(bench.zeros(tokens * q_width * 2), bench.dtype(), tokens, q_width);
  QkvSpec spec;
  spec.shape = heads;
  spec.rope = {table.row<float>(0), positions, heads.head_dim};
  finish.bytes = 2.0 * static_cast<double>(qkv.bytes());
  finish.num_sets = paged.pages.num_layers;
  finish.enqueue = [&bench, paged, qkv, spec, q](int set) {
    bench.backend().qkv_finish(bench.queue(), paged.batch, qkv, spec, paged.pages, set, q);
  };
  bench.add(std::move(finish));
}

void add_draw(CudaBench& bench, int64_t rows, int64_t width) {
  CudaBench::Case draw;
  draw.op = "draw_shard";
  draw.shape = format_text("{}x{}", rows, width);
  if (!bench.wants(draw.op, draw.shape)) return;
  const Tensor logits = bench.random(DType::kFloat32, rows, width, 10);
  std::vector<SamplingRow> wanted(rows);
  for (int64_t i = 0; i < rows; ++i) wanted[i].seed = static_cast<uint64_t>(i) + 1;
  const SamplingRow* rows_there = bench.put(wanted);
  auto* draws = bench.put(std::vector<ShardDraw>(rows));
  draw.bytes = static_cast<double>(logits.bytes());
  draw.enqueue = [&bench, logits, rows_there, draws](int) {
    bench.backend().draw_shard(bench.queue(), bench.workspace(), logits, 0, rows_there, draws);
  };
  bench.add(std::move(draw));
}

}  // namespace

void add_read_cases(CudaBench& bench) {
  const std::vector<int64_t> sizes = bench.options().tiny
                                         ? std::vector<int64_t>{1 << 14}
                                         : std::vector<int64_t>{int64_t{1} << 26, int64_t{1} << 31};
  for (const int64_t bytes : sizes) {
    CudaBench::Case read;
    read.op = "read";
    read.shape = format_text("{} bytes", bytes);
    if (!bench.wants(read.op, read.shape)) continue;
    const int num_sets = bench.sets_past_cache(static_cast<double>(bytes));
    std::vector<const std::byte*> sets;
    for (int i = 0; i < num_sets; ++i) {
      sets.push_back(bench.random(DType::kBFloat16, bytes / 2, 1).data);
    }
    uint32_t* sink = bench.put(std::vector<uint32_t>(1));
    read.bytes = static_cast<double>(bytes);
    read.num_sets = num_sets;
    read.enqueue = [&bench, sets, bytes, sink](int set) {
      enqueue_read(bench.queue(), sets[set], bytes, sink);
    };
    bench.add(std::move(read));
  }
}

void add_attention_cases(CudaBench& bench) {
  if (bench.options().tiny) {
    add_attention(bench, {2, 1, 64}, {2, 1, 70});
    return add_attention(bench, {2, 1, 64}, {1, 20, 0});
  }
  for (const Load& load : {Load{1, 1, 1023},
                           Load{1, 1, 16383},
                           Load{8, 1, 1023},
                           Load{8, 1, 4095},
                           Load{8, 1, 16383},
                           Load{32, 1, 2047},
                           Load{32, 1, 4095},
                           Load{128, 1, 2047}}) {
    add_attention(bench, kHeads, load);
  }
  for (const Load& load :
       {Load{8, 512, 0}, Load{1, 2048, 0}, Load{1, 8192, 0}, Load{1, 512, 7680}}) {
    add_attention(bench, kHeads, load);
  }
}

void add_linear_cases(CudaBench& bench) {
  if (bench.options().tiny) {
    add_linear_norm(bench, 2, 128, 64);
    return add_linear(bench, {"gate_up", 256, 128, Activation::kSiluGate, {1, 20}});
  }
  for (const int64_t rows : {1, 2}) {
    add_linear_norm(bench, rows, kHidden, kHidden);
    add_linear_norm(bench, rows, kHidden, 14336);
  }
  const std::vector<int64_t> rows = {1, 8, 32, 128, 512, 8192};
  for (const Matmul& matmul : {Matmul{"qkv", 6144, kHidden, Activation::kNone, rows},
                               Matmul{"out", kHidden, kHidden, Activation::kNone, rows},
                               Matmul{"gate_up", 28672, kHidden, Activation::kSiluGate, rows},
                               Matmul{"down", kHidden, 14336, Activation::kNone, rows},
                               Matmul{"head", 128256, kHidden, Activation::kNone, {1, 32, 128}}}) {
    add_linear(bench, matmul);
  }
}

void add_row_cases(CudaBench& bench) {
  if (bench.options().tiny) {
    add_norm_case(bench, 3, 128);
    add_qkv_finish(bench, {2, 1, 64}, {2, 1, 70});
    return add_draw(bench, 2, 512);
  }
  for (const int64_t rows : {1, 32, 128, 8192}) add_norm_case(bench, rows, kHidden);
  for (const Load& load : {Load{1, 1, 2047}, Load{128, 1, 2047}, Load{1, 8192, 0}}) {
    add_qkv_finish(bench, kHeads, load);
  }
  for (const int64_t rows : {1, 32, 128}) add_draw(bench, rows, 128256);
}

}  // namespace trireme

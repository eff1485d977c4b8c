// linear_add_norm and linear_qkv have the bits of the two ops that they combine, and take one
// launch on an emulated device.
#include "kernels/cuda/linear/linear_launch.h"
#include "tests/kernels/cache_fixture.h"
#ifdef TRIREME_EMULATED_CUDA
#include "tests/emulation/emulated.h"
#endif

namespace trireme {
namespace {

class LinearTail : public CacheTest {
 protected:
  std::unique_ptr<Weight> pack(const Matrix& weights) {
    const Tensor part = weights.view();
    return backend->pack(std::span(&part, 1), {}).value();
  }
  std::vector<float> random_vector(int64_t size, uint32_t seed) {
    const Matrix values = random_matrix(DType::kFloat32, 1, size, seed);
    return std::vector<float>(values.view().row<float>(0), values.view().row<float>(0) + size);
  }
  // Enqueues once directly and once into a graph capture, and replays that. The matmul's output is
  // NaN before each run.
  template <class Enqueue>
  void run_and_replay(const Tensor& product, const Enqueue& enqueue) {
    const std::vector<std::byte> poison(product.rows * product.row_stride * size_of(product.dtype),
                                        std::byte{0xff});
    const StepKey key = {++num_keys_, 1, false};
    for (int i = 0; i < 2; ++i) {
      backend->upload(*queue, product.data, poison);
      if (i == 1) backend->capture(*queue, key, enqueue);
      backend->run(*queue, key, enqueue);
    }
  }

 private:
  int32_t num_keys_ = 0;
};

struct NormCase {
  int64_t rows, width, k;
  NormKind kind;
  bool has_bias;  // of the norm and of the delta
  bool is_wide;   // the output is fp32
};

// Rows of one warp, of several and of all warps of a block; widths and sums that fill no tile; more
// and wider rows than a tail takes.
const NormCase kNormCases[] = {{1, 16, 64, NormKind::kRms, false, false},
                               {1, 17, 129, NormKind::kLayer, true, false},
                               {2, 160, 300, NormKind::kRms, true, true},
                               {2, 161, 64, NormKind::kLayer, false, false},
                               {1, 700, 1100, NormKind::kRms, true, false},
                               {2, 1032, 64, NormKind::kLayer, true, true},
                               {1, 4096, 129, NormKind::kRms, false, false},
                               {2, 4097, 64, NormKind::kLayer, true, false},
                               {1, 8192, 64, NormKind::kRms, true, false},
                               {1, 8193, 64, NormKind::kRms, true, false},
                               {3, 700, 64, NormKind::kRms, true, false},
                               {20, 129, 64, NormKind::kLayer, true, false}};

class LinearAddNorm : public LinearTail {
 protected:
  struct Result {
    Matrix residual;
    Matrix out;
  };
  NormedSum put_sum(const NormCase& some, const Matrix& residual, bool has_out) {
    NormedSum sum;
    sum.delta = put(Matrix(residual.dtype(), some.rows, some.width));
    sum.residual = put(residual);
    sum.norm.kind = some.kind;
    sum.norm.weight_offset = 1;
    sum.norm.weight = put_vector(random_vector(some.width, 4));
    if (some.has_bias) {
      sum.norm.bias = put_vector(random_vector(some.width, 5));
      sum.bias = put_vector(random_vector(some.width, 6));
    }
    if (has_out) {
      sum.out = put(Matrix(some.is_wide ? DType::kFloat32 : input(), some.rows, some.width));
    }
    return sum;
  }
  Result get_result(const NormCase& some, const NormedSum& sum) {
    Result result = {Matrix(sum.residual.dtype, some.rows, some.width),
                     Matrix(sum.out.dtype, some.rows, some.width)};
    get(sum.residual, result.residual);
    if (sum.out.data != nullptr) get(sum.out, result.out);
    return result;
  }
  // Runs three times on the same residual, which grows.
  Result run(const NormCase& some, const Weight& weight, bool is_fused, bool has_out) {
    reset();
    const Tensor x = put(random_matrix(input(), some.rows, some.k, 1, 0.5f));
    const DType type = backend->types().residual;
    const NormedSum sum = put_sum(some, random_matrix(type, some.rows, some.width, 3), has_out);
    run_and_replay(sum.delta, [&] {
      if (is_fused) return backend->linear_add_norm(*queue, workspace, x, weight, sum);
      backend->linear(*queue, workspace, x, weight, {}, sum.delta);
      backend->add_norm(*queue, sum.residual, &sum.delta, sum.bias, sum.norm, sum.out);
    });
    return get_result(some, sum);
  }
};

TEST_P(LinearAddNorm, HasTheBitsOfTheTwoOps) {
  for (const NormCase& some : kNormCases) {
    SCOPED_TRACE(testing::Message() << some.rows << " x " << some.width << " x " << some.k);
    const auto weight = pack(random_matrix(input(), some.width, some.k, 2, 0.5f));
    for (const bool has_out : {true, false}) {
      const Result plain = run(some, *weight, false, has_out);
      const Result fused = run(some, *weight, true, has_out);
      ASSERT_TRUE(fused.residual.same_bytes(plain.residual));
      ASSERT_TRUE(fused.out.same_bytes(plain.out));
    }
  }
}

// Blocks of the two queues interleave freely.
TEST_P(LinearAddNorm, QueuesHaveTheirOwnArrivalCounters) {
  const NormCase some = {2, 700, 200, NormKind::kRms, false, false};
  const auto weight = pack(random_matrix(input(), some.width, some.k, 2, 0.5f));
  const auto other = backend->make_queue();
  const Matrix residual = random_matrix(backend->types().residual, some.rows, some.width, 3);
  for (int round = 0; round < 5; ++round) {
    reset();
    const Tensor x = put(random_matrix(input(), some.rows, some.k, 1, 0.5f));
    const NormedSum sums[] = {put_sum(some, residual, true),
                              put_sum(some, residual, true),
                              put_sum(some, residual, true)};
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
    for (int i = 0; i < 2; ++i) {  // K is too short to split: the workspace is unused
      Queue& used = i == 0 ? *queue : *other;
      backend->linear_add_norm(used, workspace, x, *weight, sums[i]);
    }
    ASSERT_TRUE(backend->wait(*other, 0).ok());
    backend->linear(*queue, workspace, x, *weight, {}, sums[2].delta);
    backend->add_norm(*queue, sums[2].residual, &sums[2].delta, {}, sums[2].norm, sums[2].out);
    const Result plain = get_result(some, sums[2]);
    for (int i = 0; i < 2; ++i) {
      const Result fused = get_result(some, sums[i]);
      ASSERT_TRUE(fused.residual.same_bytes(plain.residual)) << "queue " << i;
      ASSERT_TRUE(fused.out.same_bytes(plain.out)) << "queue " << i;
    }
  }
}

#ifdef TRIREME_EMULATED_CUDA
// All blocks run side by side, so that the last one has seen few arrivals when it decides what to
// load before its own.
TEST_P(LinearAddNorm, HasTheBitsOfTheTwoOpsWhenAllBlocksArriveTogether) {
  const emulation::ScopedSettings restore;
  const NormCase some = {2, 70 * 32, 64, NormKind::kRms, false, false};
  const auto weight = pack(random_matrix(input(), some.width, some.k, 2, 0.5f));
  const Result plain = run(some, *weight, false, true);
  emulation::Settings settings = emulation::settings();
  settings.num_multiprocessors = settings.blocks_in_flight = 70;
  emulation::set_settings(settings);
  const Result fused = run(some, *weight, true, true);
  EXPECT_TRUE(fused.residual.same_bytes(plain.residual));
  EXPECT_TRUE(fused.out.same_bytes(plain.out));
}
#endif

INSTANTIATE_TEST_SUITE_P(Backends, LinearAddNorm, all_backends(), case_name);

struct QkvCase {
  HeadShape shape;
  int32_t rotary_dim;
  bool has_norm;
  bool has_bias;
};

// Heads of one block and of several, of either tile height; the last two do not end at a block.
const QkvCase kQkvCases[] = {{{2, 1, 16}, 16, false, true},
                             {{3, 1, 64}, 64, true, false},
                             {{1, 1, 48}, 16, true, true},
                             {{4, 2, 128}, 128, false, false},
                             {{2, 1, 256}, 0, true, false},
                             {{2, 2, 80}, 80, true, true},
                             {{3, 2, 10}, 10, true, true}};

class LinearQkv : public LinearTail {
 protected:
  static constexpr int64_t kWidth = 100;  // of x

  struct Result {
    Matrix q;
    std::vector<std::byte> pages;
  };
  Result run(const QkvCase& some, int32_t rows, const Weight& weight, bool is_fused) {
    reset();
    const HeadShape& shape = some.shape;
    make_cache(shape);
    std::vector<Segment> segments = {{1, 63, std::min(rows, 2)}};
    for (int32_t i = 2; i < rows; ++i) {
      segments.push_back(i < 5 ? Segment{i % 2 * 2, 9 * i, 1} : Segment{-1, 0, 1});
    }
    QkvTarget target;
    target.batch = batch_of(segments);
    target.spec = spec_of(some);
    target.pages = pages_;
    target.layer = 1;
    Result result = {Matrix(wide(), rows, shape.num_heads * shape.head_dim), {}};
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    target.qkv = put(Matrix(wide(), rows, columns));
    target.q = put(result.q);
    const Tensor x = put(random_matrix(input(), rows, kWidth, 1));
    const Vector bias = some.has_bias ? put_vector(random_vector(columns, 3)) : Vector{};
    run_and_replay(target.qkv, [&] {
      if (is_fused) return backend->linear_qkv(*queue, workspace, x, weight, bias, target);
      backend->linear(*queue, workspace, x, weight, {.bias = bias}, target.qkv);
      backend->qkv_finish(
          *queue, target.batch, target.qkv, target.spec, target.pages, target.layer, target.q);
    });
    get(target.q, result.q);
    result.pages = get(pages_.base, pages_.num_pages * pages_.page_stride);
    return result;
  }

 private:
  QkvSpec spec_of(const QkvCase& some) {
    QkvSpec spec;
    spec.shape = some.shape;
    const std::vector<float> table =
        random_vector(int64_t{tokens_per_slot} * some.rotary_dim + 1, 4);
    spec.rope = {put(table), tokens_per_slot, some.rotary_dim};
    if (some.has_norm) {
      spec.q_norm = put_vector(random_vector(some.shape.head_dim, 5));
      spec.k_norm = put_vector(random_vector(some.shape.head_dim, 6));
    }
    return spec;
  }
};

TEST_P(LinearQkv, HasTheBitsOfTheTwoOps) {
  for (const QkvCase& some : kQkvCases) {
    const HeadShape& shape = some.shape;
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    const auto weight = pack(random_matrix(input(), columns, kWidth, 2, 0.2f));
    for (const int32_t rows : {1, 2, 7, 8, 9}) {
      SCOPED_TRACE(testing::Message() << rows << " rows, head_dim " << shape.head_dim);
      const Result plain = run(some, rows, *weight, false);
      const Result fused = run(some, rows, *weight, true);
      ASSERT_TRUE(fused.q.same_bytes(plain.q));
      ASSERT_EQ(fused.pages, plain.pages);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, LinearQkv, all_backends(), case_name);

#ifdef TRIREME_EMULATED_CUDA
class TailLaunches : public LinearTail {
 protected:
  template <class Enqueue>
  size_t launches_of(const Enqueue& enqueue) {
    emulation::start_call_trace();
    enqueue();
    EXPECT_TRUE(backend->wait(*queue, 0).ok());
    size_t count = 0;
    for (const emulation::Call& call : emulation::stop_call_trace()) {
      count += call.name == "cudaLaunchKernelEx" ? 1 : 0;
    }
    return count;
  }
};

TEST_P(TailLaunches, FewRowsTakeOneLaunch) {
  const bool fuses = !GetParam().is_invariant();
  const int64_t width = 4 * 16;
  make_cache({2, 1, 16});
  const auto weight = pack(random_matrix(input(), width, width, 2));
  for (const int32_t rows : {1, 2, 3, 8, 9}) {
    reset();
    const Tensor x = put(random_matrix(input(), rows, width, 1));
    const Tensor out = put(Matrix(input(), rows, width));
    NormedSum sum;
    sum.delta = put(Matrix(input(), rows, width));
    sum.residual = put(random_matrix(input(), rows, width, 3));
    sum.norm.weight = put_vector(random_vector(width, 4));
    sum.out = out;
    EXPECT_EQ(
        launches_of([&] { backend->linear_add_norm(*queue, workspace, x, *weight, sum); }) == 1,
        fuses && rows <= cuda::kMaxNormRows)
        << rows;
    QkvTarget target;
    target.batch = batch_of({{1, 0, rows}});
    target.qkv = put(Matrix(input(), rows, width));
    target.spec.shape = {2, 1, 16};
    target.pages = pages_;
    target.q = put(Matrix(input(), rows, 2 * 16));
    EXPECT_EQ(
        launches_of([&] { backend->linear_qkv(*queue, workspace, x, *weight, {}, target); }) == 1,
        fuses && rows <= cuda::kMaxHeadRows)
        << rows;
  }
}

std::vector<BackendCase> cuda_cases() {
  std::vector<BackendCase> cases = backend_cases();
  std::erase_if(cases, [](const BackendCase& some) { return !some.is_cuda(); });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Backends, TailLaunches, testing::ValuesIn(cuda_cases()), case_name);
#endif

}  // namespace
}  // namespace trireme

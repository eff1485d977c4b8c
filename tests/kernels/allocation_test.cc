// Counts calls of operator new over decode-like sequences of all ops: after the first sequence none
// may allocate.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/kernels/cache_fixture.h"

namespace {
std::atomic<int64_t> num_allocations{0};
}  // namespace

// Not inlined, or the compiler reports malloc with delete, or new with free, as a mismatch.
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  ++num_allocations;
  void* place = std::malloc(bytes == 0 ? 1 : bytes);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}
__attribute__((noinline)) void operator delete(void* place) noexcept { std::free(place); }
__attribute__((noinline)) void operator delete(void* place, std::size_t) noexcept {
  std::free(place);
}

namespace trireme {
namespace {

class Allocation : public CacheTest {
 protected:
  static constexpr int64_t kRows = 3, kHidden = 64, kMlp = 70, kVocabulary = 300;

  std::unique_ptr<Weight> pack(int64_t n, int64_t k, std::vector<int64_t> leaf_ends = {}) {
    const Matrix values = random_matrix(input(), n, k, 1);
    const Tensor part = values.view();
    return backend->pack(std::span(&part, 1), {WeightLayout::kRows, std::move(leaf_ends)}).value();
  }
};

TEST_P(Allocation, NoOpAllocatesAfterTheFirstStep) {
  const HeadShape shape = {4, 2, 16};
  make_cache(shape);
  const auto head = pack(kVocabulary, kHidden), qkv = pack(128, kHidden);
  const auto output = pack(kHidden, kHidden, {8, 16, 24, 32, 40, 48, 56, 64});
  const auto down = pack(kHidden, kMlp, {9, 18, 27, 35, 44, 53, 62, 70});
  const Matrix gate = random_matrix(input(), kMlp, kHidden, 2);
  const Tensor gates[] = {gate.view(), gate.view()};
  const auto gate_up = backend->pack(gates, {WeightLayout::kGateUp, {}}).value();
  const Tensor residual = put(Matrix(DType::kFloat32, kRows, kHidden));
  const Tensor delta = put(Matrix(DType::kFloat32, kRows, kHidden));
  const Tensor normed = put(Matrix(input(), kRows, kHidden));
  const Tensor wide = put(Matrix(DType::kFloat32, kRows, 128));
  const Tensor query = put(Matrix(DType::kFloat32, kRows, 64));
  const Tensor context = put(Matrix(input(), kRows, 64));
  const Tensor gated = put(Matrix(input(), kRows, kMlp));
  const Tensor logits = put(Matrix(DType::kFloat32, kRows, kVocabulary));
  const Tensor copy = put(Matrix(DType::kFloat32, kRows, kVocabulary));
  Norm norm;
  norm.weight = put_vector(std::vector<float>(kHidden, 1.0f));
  Epilogue silu;
  silu.activation = Activation::kSiluGate;
  const Vector bias = put_vector(std::vector<float>(128, 0.1f));
  QkvSpec qkv_spec;
  qkv_spec.shape = shape;
  AttentionSpec attention_spec;
  attention_spec.shape = shape;
  const std::vector<int32_t> history = {1, 2, 3, 2};
  std::vector<SamplingRow> wishes(kRows);
  for (SamplingRow& row : wishes) {
    row.top_k = 20;
    row.top_p = 0.9f;
    row.presence_penalty = 0.5f;
    row.history = history.data();
    row.num_history = 4;
  }
  const SamplingRow* rows = put_rows(wishes);
  ShardDraw* draws = put(std::vector<ShardDraw>(kRows));
  TokenLogprob* logprobs = put(std::vector<TokenLogprob>(kRows * 6));
  const int32_t* identity = put(std::vector<int32_t>{0, 1, 2});
  int32_t* ids = put(std::vector<int32_t>{0, 1, 2});
  const int32_t* page_from = put(std::vector<int32_t>{20});
  const int32_t* page_to = put(std::vector<int32_t>{21});
  const AttentionPlan plan = {
      put(std::vector<std::byte>(backend->attention_plan_bytes(kRows, kRows, shape)))};
  SlotIds kept;
  kept.last = put(std::vector<int32_t>(kRows));
  StepRing ring;
  ring.entries = put(std::vector<std::byte>(2 * 64));
  ring.entry_bytes = 64;
  ring.depth = 2;
  ring.step = put(std::vector<uint64_t>(1));
  std::byte* entry = put(std::vector<std::byte>(64));
  BatchView batch = batch_of({{0, 0, 1}, {1, 0, 1}, {2, 0, 1}});
  auto* positions = const_cast<int32_t*>(batch.positions);
  batch.token_ids = ids;

  int64_t before = 0;
  for (int32_t step = 0; step < 101; ++step) {
    if (step == 1) before = num_allocations;
    for (int64_t i = 0; i < kRows; ++i) positions[i] = step;
    backend->take_entry(*queue, ring, entry);
    backend->feed_ids(*queue, batch, kept.last, ids);
    backend->embed(*queue, batch, *head, 0, residual);
    backend->add_norm(*queue, residual, nullptr, {}, norm, normed);
    backend->linear(*queue, workspace, normed, *qkv, {.bias = bias}, wide);
    backend->qkv_finish(*queue, batch, wide, qkv_spec, pages_, 0, query);
    backend->plan_attention(*queue, batch, attention_spec, pages_, plan);
    backend->attention(*queue, workspace, batch, query, attention_spec, plan, pages_, 0, context);
    backend->linear(*queue, workspace, context, *output, {}, delta);
    backend->add_norm(*queue, residual, &delta, {}, norm, normed);
    backend->linear(*queue, workspace, normed, *gate_up, silu, gated);
    backend->linear(*queue, workspace, gated, *down, {}, delta);
    backend->add(*queue, residual, delta);
    backend->add_norm(*queue, residual, nullptr, {}, norm, normed);
    backend->linear(*queue, workspace, normed, *head, {}, logits);
    backend->gather_rows(*queue, logits, identity, copy);
    backend->adjust_logits(*queue, workspace, logits, 0, kVocabulary, rows);
    backend->draw_shard(*queue, workspace, logits, 0, rows, draws);
    backend->draw_whole(*queue, workspace, logits, WholeRows::kAll, rows, draws);
    backend->logprobs(*queue, workspace, copy, identity, 5, logprobs);
    backend->copy_pages(*queue, pages_, page_from, page_to, 1);
    backend->best_of_shards(*queue, draws, 1, kRows, ids);
    backend->keep_ids(*queue, ids, batch.slots, identity, kRows, kept);
    backend->post(*queue, entry, 16, ring);
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
  }
  EXPECT_EQ(num_allocations - before, 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, Allocation, testing::ValuesIn(cpu_cases()), case_name);

}  // namespace
}  // namespace trireme

// Devices with less shared memory per block than an H200, or another number of resident blocks. The
// emulated device is set to their limits before the backend is made.
#include <memory>

#include "kernels/cuda/attention/attention_plan.h"
#include "tests/emulation/emulated.h"
#include "tests/kernels/cache_fixture.h"

namespace trireme {
namespace {

using emulation::kLimitsOfSm86;
using emulation::Limits;

class SmallDevice : public CacheTest {
 protected:
  void take(const Limits& limits) {
    emulation::Settings settings = emulation::settings();
    settings.limits = limits;
    settings.blocks_in_flight = 4;  // each with memory of its own
    emulation::set_settings(settings);
    use_threads(2);  // another backend
  }
  void make_slots(const HeadShape& shape) {
    tokens_per_slot = kTokens;
    make_cache(shape);
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    slots_.clear();
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      slots_.push_back(random_matrix(wide(), kTokens, columns, 20 + slot));
    }
    QkvSpec qkv;
    qkv.shape = shape;
    finish({{0, 0, kTokens}, {1, 0, kTokens}, {2, 0, kTokens}}, slots_, qkv);
  }

  static constexpr int32_t kTokens = 600;
  std::vector<Matrix> slots_;

 private:
  emulation::ScopedSettings restore_;
};

AttentionSpec spec_of(const HeadShape& shape) {
  AttentionSpec spec;
  spec.shape = shape;
  spec.scale = 0.1f;
  return spec;
}

TEST_P(SmallDevice, GivesTheBitsOfALargeOne) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "the fast mode does not promise it";
  const Limits large = emulation::settings().limits;
  for (const int32_t head_dim : {64, 80, 96, 128, 256}) {
    const AttentionSpec spec = spec_of({4, 2, head_dim});
    const std::vector<Segment> segments = {{1, 599, 1}, {0, 430, 170}, {2, 580, 2}};
    std::vector<Matrix> outs;
    for (const Limits& limits : {large, kLimitsOfSm86}) {
      take(limits);
      make_slots(spec.shape);
      const Matrix q = random_matrix(wide(), 173, 4 * head_dim, 3);
      outs.push_back(attend(segments, q, spec));
    }
    for (int64_t row = 0; row < 173; ++row) {
      ASSERT_TRUE(outs[0].same_row(row, outs[1], row)) << "dim " << head_dim << " row " << row;
    }
  }
}

TEST_P(SmallDevice, IsNamedByItsOwnArchitecture) {
  take(kLimitsOfSm86);
  EXPECT_EQ(backend->info().isa, "sm_86");
}

// As many units as resident blocks.
TEST_P(SmallDevice, ThePlanFillsTheResidentBlocks) {
  const AttentionSpec spec = spec_of({1, 1, 64});
  Limits limits = emulation::settings().limits;
  for (const int blocks : {1, 2, 3}) {
    limits.shared_bytes_per_multiprocessor = int64_t{1} << 20;
    limits.max_blocks = blocks;
    take(limits);
    tokens_per_slot = 64 * 1024;
    make_cache(spec.shape);
    reset();
    const AttentionPlan plan = make_plan(batch_of({{0, 64 * 1024 - 1, 1}}), spec);
    const auto header = get(reinterpret_cast<cuda::PlanHeader*>(plan.data), 1)[0];
    const int32_t most = blocks * emulation::settings().num_multiprocessors;
    EXPECT_LE(header.units[cuda::kDecodeKernel], most);
    EXPECT_GT(header.units[cuda::kDecodeKernel], most * 3 / 4);
  }
}

// A kernel that no SM can hold is refused at start, and so is a device below the minimum of shared
// memory.
TEST(CudaDevice, WithTooLittleSharedMemoryIsRefusedByName) {
  const emulation::ScopedSettings restore;
  emulation::Settings settings = emulation::settings();
  settings.limits = kLimitsOfSm86;
  settings.limits.shared_bytes_per_block = 64 * 1024;
  emulation::set_settings(settings);
  const auto refused = make_cuda_backend({.max_batched_tokens = 512});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(error_id(refused.status()), "TRI-CUDA-002");
  EXPECT_THAT(message_of(refused.status()), testing::HasSubstr("65536 bytes of shared memory"));
  settings.limits.shared_bytes_per_block = 99 * 1024;
  settings.limits.shared_bytes_per_multiprocessor = 64 * 1024;
  emulation::set_settings(settings);
  EXPECT_FALSE(make_cuda_backend({.max_batched_tokens = 512}).ok());
}

std::vector<BackendCase> cuda_cases() {
  return {{"cuda", DType::kBFloat16}, {"cuda_invariant", DType::kFloat16}};
}
INSTANTIATE_TEST_SUITE_P(Devices, SmallDevice, testing::ValuesIn(cuda_cases()), case_name);

}  // namespace
}  // namespace trireme

#include <algorithm>
#include <atomic>

#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

class StepRings : public OpTest {
 protected:
  static constexpr int32_t kDepth = 3;
  static constexpr int32_t kMaxSpins = 10'000'000;

  StepRing ring_of(std::byte* entries, int64_t entry_bytes, uint64_t* step) {
    StepRing ring;
    ring.entries = entries;
    ring.entry_bytes = entry_bytes;
    ring.depth = kDepth;
    ring.step = step;
    return ring;
  }
};

std::vector<std::byte> pattern(int64_t bytes, int64_t seed) {
  std::vector<std::byte> values(bytes);
  for (int64_t i = 0; i < bytes; ++i) values[i] = static_cast<std::byte>(i * 13 + seed);
  return values;
}

// Sizes that fill the blocks of a copy, and one that is not a multiple of 16.
TEST_P(StepRings, TheCurrentInputIsCopied) {
  for (const int64_t bytes : {8, 4096, 100'008}) {
    reset();
    uint64_t* step = put(std::vector<uint64_t>(1, 7));
    const std::vector<std::byte> entries = pattern(kDepth * bytes, 1);
    std::byte* to = put(std::vector<std::byte>(bytes + 8, std::byte{0xff}));
    const StepRing ring = ring_of(put(entries), bytes, step);
    const StepRing results = ring_of(put(std::vector<std::byte>(kDepth * 8)), 8, step);
    for (int64_t turn = 7; turn < 14; ++turn) {
      backend->take_entry(*queue, ring, to);
      const std::vector<std::byte> taken = get(to, bytes + 8);
      for (int64_t i = 0; i < bytes; ++i) {
        ASSERT_EQ(taken[i], entries[turn % kDepth * bytes + i]) << "step " << turn;
      }
      for (int64_t i = bytes; i < bytes + 8; ++i) ASSERT_EQ(taken[i], std::byte{0xff});
      backend->post(*queue, nullptr, 0, results);
    }
  }
}

// Read as the host does: without a wait, as soon as the flag is set.
TEST_P(StepRings, APostedEntryIsCompleteOnceItsFlagIsSet) {
  for (const int64_t bytes : {0, 4, 52, 1 << 20}) {
    const int64_t entry_bytes = (bytes + 15) / 16 * 16 + 16;
    reset();
    const Buffer shared = backend->allocate_shared(kDepth * entry_bytes, "results").value();
    uint64_t* step = put(std::vector<uint64_t>(1));
    const StepRing ring = ring_of(shared.data(), entry_bytes, step);
    for (uint64_t turn = 0; turn < 7; ++turn) {
      const std::vector<std::byte> result = pattern(bytes, static_cast<int64_t>(turn));
      backend->post(*queue, put(result), bytes, ring);
      std::byte* entry = shared.data() + static_cast<int64_t>(turn % kDepth) * entry_bytes;
      auto* flag = reinterpret_cast<uint64_t*>(entry + entry_bytes - 8);
      const std::atomic_ref<uint64_t> seen(*flag);
      for (int32_t spins = 0; seen.load(std::memory_order_acquire) != turn + 1; ++spins) {
        ASSERT_TRUE(backend->status(*queue).ok());
        if (spins < kMaxSpins) continue;
        ASSERT_TRUE(backend->wait(*queue, 0).ok());
        ASSERT_EQ(seen.load(), turn + 1) << "the flag is not set";
      }
      ASSERT_TRUE(std::equal(result.begin(), result.end(), entry)) << "step " << turn;
      for (int64_t i = bytes; i < entry_bytes - 8; ++i) ASSERT_EQ(entry[i], std::byte{0});
    }
    EXPECT_EQ(get(step, 1)[0], 7u);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, StepRings, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme

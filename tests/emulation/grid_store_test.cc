// When a block sees the stores of the other blocks of its launch (store_grid()).
#include <gtest/gtest.h>

#include "kernels/cuda/last_block.h"
#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace grid_store_test {

constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 5;
constexpr uint32_t kUnwritten = 7;

struct Meeting {
  uint32_t* words;  // of all threads
  uint32_t* seen;   // by the last block
  uint32_t* counter;
};

// The ways in which the blocks find the last of them.
enum class Arrival {
  kLastBlock,         // arrives_last()
  kFences,            // a fence of every thread, and a relaxed word
  kRelaxed,           // a relaxed word alone
  kNoAcquire,         // a release, then a relaxed word
  kNoRelease,         // a relaxed word, then an acquire
  kNoBarrierOfOthers  // no thread has met the one that releases
};

template <Arrival arrival>
bool is_last(const Meeting& meeting) {
  using cuda::add_acquire_release;
  auto& word = cuda::shared_memory<int32_t>();
  if (arrival == Arrival::kLastBlock) {
    return cuda::arrives_last(meeting.counter, static_cast<int32_t>(gridDim.x), &word);
  }
  if (arrival == Arrival::kFences) __threadfence();
  if (arrival != Arrival::kNoBarrierOfOthers) __syncthreads();
  if (threadIdx.x == 0) {
    if (arrival == Arrival::kNoAcquire) cuda::store_release_system(meeting.counter + 1, 1);
    const bool orders = arrival == Arrival::kNoBarrierOfOthers;
    const uint32_t before =
        orders ? add_acquire_release(meeting.counter, 1) : atomicAdd(meeting.counter, 1u);
    if (arrival == Arrival::kNoRelease) (void)cuda::load_acquire_system(meeting.counter + 1);
    word = before == gridDim.x - 1 ? 1 : 0;
  }
  __syncthreads();
  if (arrival == Arrival::kFences) __threadfence();
  return word != 0;
}

template <Arrival arrival>
__global__ void meet(Meeting meeting) {
  const unsigned self = blockIdx.x * kThreads + threadIdx.x;
  cuda::store_grid(meeting.words + self, 100 + self);
  if (!is_last<arrival>(meeting)) return;
  for (unsigned i = threadIdx.x; i < gridDim.x * kThreads; i += kThreads) {
    meeting.seen[i] = meeting.words[i];
  }
}

std::vector<uint32_t> expected() {
  std::vector<uint32_t> words(kBlocks * kThreads);
  for (unsigned i = 0; i < words.size(); ++i) words[i] = 100 + i;
  return words;
}

// The words that the last block has seen.
std::vector<uint32_t> seen_by_last(void (*kernel)(Meeting), Order order) {
  const ScopedSettings settings(order);
  const DeviceArray<uint32_t> words{std::vector<uint32_t>(kBlocks * kThreads, kUnwritten)};
  const DeviceArray<uint32_t> seen{std::vector<uint32_t>(kBlocks * kThreads)};
  const DeviceArray<uint32_t> counter(std::vector<uint32_t>(2));
  run({.grid = {kBlocks}, .block = {kThreads}, .shared_bytes = 4},
      kernel,
      Meeting{words.data(), seen.data(), counter.data()});
  EXPECT_EQ(words.read(), expected());  // the kernel has ended
  return seen.read();
}

class GridStores : public testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(Orders,
                         GridStores,
                         testing::Values(Order::kForward, Order::kReverse, Order::kRandom));

TEST_P(GridStores, AreSeenByTheBlockThatArrivesLast) {
  EXPECT_EQ(seen_by_last(meet<Arrival::kLastBlock>, GetParam()), expected());
}

TEST_P(GridStores, AreSeenBetweenFencesOfAllThreads) {
  EXPECT_EQ(seen_by_last(meet<Arrival::kFences>, GetParam()), expected());
}

TEST_P(GridStores, AreNotSeenWithoutARelease) {
  EXPECT_NE(seen_by_last(meet<Arrival::kRelaxed>, GetParam()), expected());
  EXPECT_NE(seen_by_last(meet<Arrival::kNoRelease>, GetParam()), expected());
}

TEST_P(GridStores, AreNotSeenWithoutAnAcquire) {
  EXPECT_NE(seen_by_last(meet<Arrival::kNoAcquire>, GetParam()), expected());
}

TEST_P(GridStores, AreNotSeenByTheReleaseOfAThreadThatTheyDidNotMeet) {
  EXPECT_NE(seen_by_last(meet<Arrival::kNoBarrierOfOthers>, GetParam()), expected());
}

// A word that is stored twice, with a release between the stores.
__global__ void store_twice(uint32_t* words, uint32_t* flag) {
  cuda::store_grid(words + threadIdx.x, 1u);
  cuda::store_release_system(flag, 1);
  cuda::store_grid(words + threadIdx.x, 2u);
}

TEST(GridStore, ArrivesInOrderAtOneAddress) {
  const DeviceArray<uint32_t> words(kThreads), flag(1);
  run({.block = {kThreads}}, store_twice, words.data(), flag.data());
  EXPECT_EQ(words.read(), std::vector<uint32_t>(kThreads, 2));
}

}  // namespace grid_store_test
}  // namespace trireme::emulation

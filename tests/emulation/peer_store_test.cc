// When other ranks see the stores of a block to their memory.
#include <gtest/gtest.h>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace peer_store_test {

constexpr unsigned kThreads = 64;

// The ways in which a writer announces its words.
enum class Word {
  kRelease,
  kFenceThenRelaxed,
  kRelaxed,
  kReleaseOfFirst,
  kReleaseOfFirstAfterBarrier
};

struct Exchange {
  uint32_t* words;  // owned by the reader
  uint32_t* seen;
  uint32_t* flags;  // one per thread; then one set by the reader when it has read
};

template <Word word>
__global__ void write_words(Exchange exchange) {
  const unsigned self = threadIdx.x;
  cuda::store_peer(exchange.words + self, 100 + self);
  if (word == Word::kReleaseOfFirstAfterBarrier) __syncthreads();
  if (word == Word::kFenceThenRelaxed) __threadfence_system();
  if (word == Word::kRelease) {
    cuda::store_release_system(exchange.flags + self, 1);
  } else if (word == Word::kRelaxed || word == Word::kFenceThenRelaxed) {
    atomicExch(exchange.flags + self, 1u);
  } else if (self == 0) {
    for (unsigned i = 0; i < kThreads; ++i) cuda::store_release_system(exchange.flags + i, 1);
  }
  while (cuda::load_acquire_system(exchange.flags + kThreads) == 0) {
  }
}

__global__ void read_words(Exchange exchange) {
  const unsigned self = threadIdx.x;
  while (cuda::load_acquire_system(exchange.flags + self) == 0) {
  }
  exchange.seen[self] = cuda::load_peer(exchange.words + self);
  __syncthreads();
  if (self == 0) cuda::store_release_system(exchange.flags + kThreads, 1);
}

std::vector<uint32_t> expected() {
  std::vector<uint32_t> words(kThreads);
  for (unsigned i = 0; i < kThreads; ++i) words[i] = 100 + i;
  return words;
}

// The words that a device sees of another's once it has seen the flags.
std::vector<uint32_t> seen_after(void (*writer)(Exchange), Order order) {
  const ScopedSettings settings(order);
  const DeviceArray<uint32_t> words{std::vector<uint32_t>(kThreads)};
  const DeviceArray<uint32_t> seen{std::vector<uint32_t>(kThreads)};
  const DeviceArray<uint32_t> flags(std::vector<uint32_t>(kThreads + 1));
  const Exchange exchange{words.data(), seen.data(), flags.data()};
  const Stream first;
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  const Stream second;
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  launch(first.get(), {.block = {kThreads}}, writer, exchange);
  launch(second.get(), {.block = {kThreads}}, read_words, exchange);
  first.wait();
  second.wait();
  EXPECT_EQ(words.read(), expected());  // the kernel has ended
  return seen.read();
}

class PeerStores : public testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(Orders,
                         PeerStores,
                         testing::Values(Order::kForward, Order::kReverse, Order::kRandom));

TEST_P(PeerStores, AreSeenOnceTheirThreadHasReleasedThem) {
  EXPECT_EQ(seen_after(write_words<Word::kRelease>, GetParam()), expected());
  EXPECT_EQ(seen_after(write_words<Word::kFenceThenRelaxed>, GetParam()), expected());
}

TEST_P(PeerStores, AreSeenOnceAThreadPastTheirBarrierHasReleasedThem) {
  EXPECT_EQ(seen_after(write_words<Word::kReleaseOfFirstAfterBarrier>, GetParam()), expected());
}

TEST_P(PeerStores, AreNotSeenWithoutARelease) {
  EXPECT_NE(seen_after(write_words<Word::kRelaxed>, GetParam()), expected());
}

TEST_P(PeerStores, AreNotSeenByTheReleaseOfAThreadThatTheyDidNotMeet) {
  EXPECT_NE(seen_after(write_words<Word::kReleaseOfFirst>, GetParam()), expected());
}

// Overlapping stores of several widths, read back before any release.
__global__ void read_back(uint32_t* words, uint4* seen) {
  for (uint32_t turn = 0; turn < 100; ++turn) {
    cuda::store_peer(reinterpret_cast<uint4*>(words), uint4{turn, turn, turn, turn});
    cuda::store_peer(words + turn % 4, turn + 1);
    seen[turn] = cuda::load_peer(reinterpret_cast<const uint4*>(words));
  }
}

TEST(PeerStore, IsSeenByItsOwnBlockAtOnceAndInOrder) {
  const DeviceArray<uint32_t> words(std::vector<uint32_t>(4));
  const DeviceArray<uint4> seen(100);
  run({.block = {1}}, read_back, words.data(), seen.data());
  const std::vector<uint4> got = seen.read();
  for (uint32_t turn = 0; turn < 100; ++turn) {
    uint32_t wanted[4] = {turn, turn, turn, turn};
    ++wanted[turn % 4];
    const uint32_t all[4] = {got[turn].x, got[turn].y, got[turn].z, got[turn].w};
    for (int i = 0; i < 4; ++i) ASSERT_EQ(all[i], wanted[i]) << turn;
  }
  EXPECT_EQ(words.read(), (std::vector<uint32_t>{99, 99, 99, 100}));
}

}  // namespace peer_store_test
}  // namespace trireme::emulation

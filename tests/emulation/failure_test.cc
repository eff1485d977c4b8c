// Errors that end the process: the report names the broken rule, the block and the lanes.
#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace failure_test {

using cuda::shared_memory;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct Small {
  uint32_t word[5];
};
struct Large {
  uint32_t word[512];
};

class Failure : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

__global__ void half_a_barrier() {
  if (threadIdx.x < 40) __syncthreads();
}

TEST_F(Failure, ADeadlockReportNamesTheWaitingLanesAndWhereTheyWait) {
  EXPECT_DEATH(run({.grid = {3}, .block = {64}}, half_a_barrier),
               AllOf(HasSubstr("deadlock"),
                     HasSubstr("half_a_barrier"),
                     HasSubstr("warp 0 lanes 0-31: wait at __syncthreads() (40 of 64 threads"),
                     HasSubstr("warp 1 lanes 0-7: wait at __syncthreads() (40 of 64 threads"),
                     HasSubstr("warp 1 lanes 8-31: have ended")));
}

__global__ void wrong_barrier() { cuda::named_barrier(threadIdx.x < 32 ? 3 : 4, 64); }

TEST_F(Failure, WarpsAtDifferentNamedBarriersAreADeadlock) {
  EXPECT_DEATH(run({.block = {64}}, wrong_barrier),
               AllOf(HasSubstr("warp 0 lanes 0-31: wait at named_barrier 3 (32 of 64"),
                     HasSubstr("warp 1 lanes 0-31: wait at named_barrier 4 (32 of 64")));
}

__global__ void lanes_that_left(uint32_t* out) {
  if (threadIdx.x >= 16) return;
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, threadIdx.x, 1);
}

TEST_F(Failure, AShuffleWithoutAllLanesIsADeadlock) {
  const DeviceArray<uint32_t> out(32);
  EXPECT_DEATH(run({}, lanes_that_left, out.data()),
               AllOf(HasSubstr("lanes 0-15: wait at a shuffle (16 of 32 lanes arrived)"),
                     HasSubstr("lanes 16-31: have ended")));
}

__global__ void mixed_operations(uint32_t* out) {
  out[threadIdx.x] = threadIdx.x < 16 ? __shfl_xor_sync(0xffffffffu, threadIdx.x, 1)
                                      : __ballot_sync(0xffffffffu, 1);
}

TEST_F(Failure, LanesOfAWarpAtDifferentOperationsAreReported) {
  const DeviceArray<uint32_t> out(32);
  EXPECT_DEATH(run({}, mixed_operations, out.data()), "different operations: .*(shuffle|vote)");
}

__global__ void partial_mask(uint32_t* out) { out[threadIdx.x] = __ballot_sync(0xffffu, 1); }

TEST_F(Failure, APartialMaskIsRefused) {
  const DeviceArray<uint32_t> out(32);
  EXPECT_DEATH(run({}, partial_mask, out.data()), "less than a full warp");
}

__global__ void overrun(uint32_t index) {
  volatile uint32_t* words = shared_memory<Small>().word;
  if (threadIdx.x == 0) words[index] = 1;
}

TEST_F(Failure, AWritePastSharedMemoryIsCaught) {
  const Shape shape{.block = {32}, .shared_bytes = sizeof(Small)};
  run(shape, overrun, 4u);
  EXPECT_DEATH(run(shape, overrun, 5u), "past the end of shared memory|AddressSanitizer");
  EXPECT_DEATH(run(shape, overrun, 255u), "past the end of shared memory|AddressSanitizer");
  EXPECT_DEATH(run(shape, overrun, 256u), "");  // the next page is inaccessible
  EXPECT_DEATH(run(shape, overrun, 0xffffffffu), "");
}

__global__ void takes_more() { shared_memory<Large>().word[0] = 1; }

TEST_F(Failure, ALayoutLargerThanTheLaunchIsCaught) {
  EXPECT_DEATH(run({.shared_bytes = 2047}, takes_more), "takes 2048 bytes .* launched with 2047");
}

__global__ void misaligned_row(uint32_t offset) {
  auto& shared = shared_memory<Large>();
  uint32_t r[4];
  cuda::load_matrices(r, &shared.word[threadIdx.x * 4 + offset]);
}

TEST_F(Failure, AMisalignedRowOfLoadMatricesIsCaught) {
  run({.shared_bytes = sizeof(Large)}, misaligned_row, 0u);
  EXPECT_DEATH(run({.shared_bytes = sizeof(Large)}, misaligned_row, 1u), "not aligned to 16");
}

__global__ void copies_to_global(uint4* words) { cuda::copy_async_16(words, words + 1); }

TEST_F(Failure, AnAsynchronousCopyToGlobalMemoryIsCaught) {
  const DeviceArray<uint4> words(2);
  EXPECT_DEATH(run({.shared_bytes = 64}, copies_to_global, words.data()), "not shared memory");
}

__global__ void writes_at(uint32_t* words, size_t index) {
  if (threadIdx.x == 0) words[index] = 1;
}

TEST_F(Failure, AWritePastDeviceMemoryIsCaught) {
  EXPECT_DEATH(
      {
        const DeviceArray<uint32_t> words(10);
        run({}, writes_at, words.data(), size_t{10});
      },
      "40 bytes at .* wrote 0 bytes past the end|AddressSanitizer");
}

__global__ void never_waits() {}

TEST_F(Failure, AnOverlappingLaunchThatNeverWaitsForItsPredecessorIsCaught) {
  EXPECT_DEATH(run({.overlaps = true}, never_waits), "no thread called dependency_wait");
}

__global__ void spins(const uint32_t* word) {
  if (threadIdx.x == 0) {
    while (cuda::load_acquire_system(word) == 0) {
    }
  }
  __syncthreads();
}

TEST_F(Failure, AnEndlessSpinIsReportedWithTheWaitingLanes) {
  EXPECT_DEATH(
      {
        Settings impatient = settings();
        impatient.spin_limit_s = 0;
        set_settings(impatient);
        const DeviceArray<uint32_t> word(std::vector<uint32_t>{0});
        run({.block = {64}}, spins, word.data());
      },
      AllOf(HasSubstr("spins in vain"),
            HasSubstr("warp 0 lanes 0: run"),
            HasSubstr("warp 1 lanes 0-31: wait at __syncthreads() (63 of 64 threads arrived)")));
}

}  // namespace failure_test
}  // namespace trireme::emulation

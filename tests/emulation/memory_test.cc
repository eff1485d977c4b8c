#include <cuda.h>

#include <cstring>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace memory_test {

__global__ void nothing() {}

TEST(Memory, ADeviceHasAsManyBytesAsItReports) {
  const ScopedSettings scoped;
  Settings small = settings();
  small.device_bytes = 1 << 20;
  set_settings(small);
  void* first = nullptr;
  void* second = nullptr;
  ASSERT_EQ(cudaMalloc(&first, 700 << 10), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 400 << 10), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  size_t free_bytes = 0, total_bytes = 0;
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
  EXPECT_EQ(free_bytes, size_t{324} << 10);
  EXPECT_EQ(total_bytes, size_t{1} << 20);
  EXPECT_EQ(allocated_bytes(0), 700 << 10);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(allocated_bytes(0), 0);
}

// As with the driver: addresses, then memory at their start, then neither.
TEST(Memory, OnlyTheMappedMemoryOfReservedAddressesCounts) {
  constexpr size_t kUnit = 2 << 20;
  CUmemAllocationProp properties = {};
  size_t unit = 0;
  cuMemGetAllocationGranularity(&unit, &properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  ASSERT_EQ(unit, kUnit);
  CUdeviceptr address = 0;
  EXPECT_EQ(cuMemAddressReserve(&address, kUnit + 1, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(cuMemAddressReserve(&address, 3 * kUnit, 0, 0, 0), CUDA_SUCCESS);
  EXPECT_EQ(allocated_bytes(0), 0);
  auto* const at = reinterpret_cast<char*>(address);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(*at = 1, "");

  CUmemGenericAllocationHandle memory = 0;
  ASSERT_EQ(cuMemCreate(&memory, kUnit, &properties, 0), CUDA_SUCCESS);
  EXPECT_EQ(allocated_bytes(0), static_cast<int64_t>(kUnit));
  EXPECT_EQ(cuMemMap(address + 3 * kUnit, kUnit, 0, memory, 0), CUDA_ERROR_INVALID_VALUE);
  ASSERT_EQ(cuMemMap(address, kUnit, 0, memory, 0), CUDA_SUCCESS);
  EXPECT_EQ(cuMemRelease(memory), CUDA_SUCCESS);  // the mapping holds it
  EXPECT_EQ(allocated_bytes(0), static_cast<int64_t>(kUnit));
  const CUmemAccessDesc access = {{}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  ASSERT_EQ(cuMemSetAccess(address, kUnit, &access, 1), CUDA_SUCCESS);
  EXPECT_EQ(cudaMemset(at, 5, kUnit), cudaSuccess);
  EXPECT_EQ(cudaMemset(at, 5, kUnit + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(at), cudaErrorInvalidValue);
  EXPECT_EQ(at[kUnit - 1], 5);
  EXPECT_EQ(cuMemUnmap(address, kUnit), CUDA_SUCCESS);
  EXPECT_EQ(allocated_bytes(0), 0);
  EXPECT_EQ(cuMemAddressFree(address, 3 * kUnit), CUDA_SUCCESS);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(Memory, NewMemoryIsPoisoned) {
  const DeviceArray<float> words(100);
  for (const float word : words.read()) EXPECT_NE(word, word);
}

TEST(Memory, ACopyPastAnAllocationIsRefused) {
  const DeviceArray<uint32_t> words(4);
  uint32_t host[8] = {};
  EXPECT_EQ(cudaMemcpy(words.data(), host, 16, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(words.data() + 1, host, 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host + 4, host, 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host, 0, 16), cudaErrorInvalidValue);
}

TEST(Memory, AnIpcHandleOpensInItsOwnProcess) {
  const DeviceArray<uint32_t> words((2 << 20) / 4);
  cudaIpcMemHandle_t handle;
  ASSERT_EQ(cudaIpcGetMemHandle(&handle, words.data()), cudaSuccess);
  void* opened = nullptr;
  EXPECT_EQ(cudaIpcOpenMemHandle(&opened, handle, cudaIpcMemLazyEnablePeerAccess), cudaSuccess);
  EXPECT_EQ(opened, words.data());
  EXPECT_EQ(cudaIpcCloseMemHandle(opened), cudaSuccess);
}

TEST(Memory, AnIpcHandleOfLessThanWholeUnitsEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const DeviceArray<uint32_t> words(4);
  cudaIpcMemHandle_t handle;
  EXPECT_DEATH(cudaIpcGetMemHandle(&handle, words.data()), "16 bytes also hands out");
}

TEST(Launch, MoreSharedMemoryThanAllowedIsRefused) {
  const Stream stream;
  constexpr int kBytes = 100 << 10;
  EXPECT_EQ(launch(stream.get(), {.shared_bytes = kBytes}, nothing), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(reinterpret_cast<const void*>(nothing),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 kBytes),
            cudaSuccess);
  EXPECT_EQ(launch(stream.get(), {.shared_bytes = kBytes}, nothing), cudaSuccess);
  EXPECT_EQ(launch(stream.get(), {.block = {1025}}, nothing), cudaErrorInvalidValue);
  stream.wait();
}

TEST(Launch, NoMoreSharedMemoryThanTheDeviceHasCanBeAllowed) {
  const ScopedSettings restore;
  Settings small = settings();
  small.limits = kLimitsOfSm86;
  const auto* function = reinterpret_cast<const void*>(nothing);
  constexpr auto kMaxShared = cudaFuncAttributeMaxDynamicSharedMemorySize;
  constexpr int kBytes = 120 << 10;
  ASSERT_EQ(cudaFuncSetAttribute(function, kMaxShared, kBytes), cudaSuccess);
  set_settings(small);
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, 99u << 10);
  EXPECT_EQ(properties.major * 10 + properties.minor, 86);
  const Stream stream;
  EXPECT_EQ(cudaFuncSetAttribute(function, kMaxShared, kBytes), cudaErrorInvalidValue);
  EXPECT_EQ(launch(stream.get(), {.shared_bytes = kBytes}, nothing), cudaErrorInvalidValue);
  EXPECT_EQ(launch(stream.get(), {.shared_bytes = 99 << 10}, nothing), cudaSuccess);
  stream.wait();
}

TEST(Launch, BlocksPerMultiprocessorFollowFromMemoryAndThreads) {
  const ScopedSettings restore;
  Settings now = settings();
  now.limits = {9, 0, 227 << 10, 228 << 10, 2048, 100};
  set_settings(now);
  const auto* function = reinterpret_cast<const void*>(nothing);
  cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, 113 << 10);
  const auto blocks = [&](int threads, size_t shared_bytes) {
    int count = -1;
    EXPECT_EQ(
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&count, function, threads, shared_bytes),
        cudaSuccess);
    return count;
  };
  EXPECT_EQ(blocks(128, 0), 16) << "by threads";
  EXPECT_EQ(blocks(128, 56 << 10), 4) << "with 1 KB of each block for the driver";
  EXPECT_EQ(blocks(128, 113 << 10), 2);
  EXPECT_EQ(blocks(128, 114 << 10), 0) << "more than the function is allowed";
  now.limits.max_blocks = 3;
  set_settings(now);
  EXPECT_EQ(blocks(128, 0), 3);
}

TEST(Launch, ACooperativeGridOfMoreBlocksThanRunAtOnceIsRefused) {
  const Stream stream;
  const auto most = static_cast<unsigned>(settings().num_multiprocessors);
  EXPECT_EQ(launch(stream.get(), {.grid = {most}, .is_cooperative = true}, nothing), cudaSuccess);
  EXPECT_EQ(launch(stream.get(), {.grid = {most + 1}, .is_cooperative = true}, nothing),
            cudaErrorCooperativeLaunchTooLarge);
  stream.wait();
}

TEST(CallTrace, HoldsCallsInOrderWithStreamAndBytes) {
  const Stream stream;
  const DeviceArray<uint32_t> words(4);
  start_call_trace();
  cudaMemsetAsync(words.data(), 0, 16, stream.get());
  launch(stream.get(), {.shared_bytes = 64}, nothing);
  stream.wait();
  void* memory = nullptr;
  cudaMalloc(&memory, 32);
  cudaFree(memory);
  const std::vector<Call> calls = stop_call_trace();
  ASSERT_EQ(calls.size(), 5u);
  EXPECT_EQ(calls[0].name, "cudaMemsetAsync");
  EXPECT_EQ(calls[0].bytes, 16);
  EXPECT_EQ(calls[0].stream, stream.get());
  EXPECT_EQ(calls[1].name, "cudaLaunchKernelEx");
  EXPECT_THAT(calls[1].detail, ::testing::HasSubstr("nothing"));
  EXPECT_FALSE(allocates(calls[1]) || synchronizes(calls[1]));
  EXPECT_TRUE(synchronizes(calls[2]));
  EXPECT_TRUE(allocates(calls[3]));
  EXPECT_EQ(calls[3].bytes, 32);
  EXPECT_TRUE(allocates(calls[4]));
}

TEST(CallTrace, ACallCanBeMadeToFail) {
  fail_call("cudaMalloc", cudaErrorUnknown, 1);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 16), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 16), cudaErrorUnknown);
  EXPECT_EQ(cudaMalloc(&memory, 16), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

}  // namespace memory_test
}  // namespace trireme::emulation

#include "base/cpu_tiers.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

class BackendMemory : public OpTest {};

TEST_P(BackendMemory, IsZeroedAndHoldsWhatIsUploaded) {
  for (const int64_t bytes : {0, 1, 4097, 5 << 20}) {
    const Buffer buffer = backend->allocate(bytes, "a test").value();
    ASSERT_NE(buffer.data(), nullptr);
    EXPECT_EQ(buffer.bytes(), bytes);
    std::vector<std::byte> host(bytes, std::byte{1});
    backend->download(*queue, host, buffer.data());
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
    EXPECT_EQ(host, std::vector<std::byte>(bytes));
    for (int64_t i = 0; i < bytes; ++i) host[i] = static_cast<std::byte>(i * 31);
    backend->upload(*queue, buffer.data(), host);
    std::vector<std::byte> back(bytes);
    backend->download(*queue, back, buffer.data());
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
    EXPECT_EQ(back, host);
  }
}

TEST_P(BackendMemory, ReservedAddressesGetZeroedMemoryAndStayValid) {
  const int64_t free_bytes = backend->device_memory().free;
  const auto reserved = backend->reserve(int64_t{9} << 20, "a test").value();
  const std::byte* const before = reserved->data();
  if (backend->captures_steps()) {
    EXPECT_EQ(backend->device_memory().free, free_bytes);
  }
  constexpr int64_t kBytes = (int64_t{5} << 20) + 1;
  ASSERT_TRUE(reserved->fill(kBytes).ok());
  if (backend->captures_steps()) {
    EXPECT_EQ(reserved->data(), before);
    EXPECT_LE(backend->device_memory().free, free_bytes - kBytes);
  }
  std::vector<std::byte> host(kBytes, std::byte{1});
  backend->download(*queue, host, reserved->data());
  ASSERT_TRUE(backend->wait(*queue, 0).ok());
  EXPECT_EQ(host, std::vector<std::byte>(kBytes));
  host[kBytes - 1] = std::byte{7};
  backend->upload(*queue, reserved->data(), host);
  backend->download(*queue, std::span(host).first(1), reserved->data() + kBytes - 1);
  ASSERT_TRUE(backend->wait(*queue, 0).ok());
  EXPECT_EQ(host[0], std::byte{7});
}

TEST_P(BackendMemory, MoreMemoryForReservedAddressesThanThereIsIsRefusedByName) {
  const auto reserved = backend->reserve(int64_t{1} << 42, "the KV cache").value();
  const Status refused = reserved->fill(int64_t{1} << 42);
  EXPECT_EQ(error_id(refused), "TRI-MEM-001");
  EXPECT_NE(message_of(refused).find("the KV cache"), std::string::npos);
}

TEST_P(BackendMemory, AllocatingMoreThanThereIsIsRefusedByName) {
  const auto refused = backend->allocate(int64_t{1} << 50, "the KV cache");
  ASSERT_FALSE(refused.ok());
  const std::string message(refused.status().message());
  EXPECT_NE(message.find("TRI-MEM-001"), std::string::npos) << message;
  EXPECT_NE(message.find("the KV cache"), std::string::npos) << message;
  EXPECT_GT(backend->device_memory().free, 0);
}

TEST_P(BackendMemory, SharedMemoryIsZeroedAndHasOneAddress) {
  const Buffer shared = backend->allocate_shared(4097, "a test").value();
  for (int64_t i = 0; i < 4097; ++i) ASSERT_EQ(shared.data()[i], std::byte{0});
  std::vector<std::byte> host(4097, std::byte{5});
  backend->upload(*queue, shared.data(), host);
  ASSERT_TRUE(backend->wait(*queue, 0).ok());
  for (int64_t i = 0; i < 4097; ++i) ASSERT_EQ(shared.data()[i], std::byte{5});
}

// The work of a key is done at each run, captured or not.
TEST_P(BackendMemory, AStepRunsAgainForAnEqualKey) {
  const Matrix one = random_matrix(DType::kFloat32, 1, 40, 1);
  Matrix sum = random_matrix(DType::kFloat32, 1, 40, 2);
  const Matrix before = sum;
  const Tensor accumulator = put(sum), more = put(one);
  const auto add = [&] { backend->add(*queue, accumulator, more); };
  for (int32_t i = 0; i < 3; ++i) {
    if (i == 1) backend->capture(*queue, {4, 1, false}, add);
    backend->run(*queue, {4, 1, false}, add);
  }
  get(accumulator, sum);
  for (int64_t i = 0; i < 40; ++i) {
    auto expected = static_cast<float>(before.at(0, i));
    for (int32_t step = 0; step < 3; ++step) expected += static_cast<float>(one.at(0, i));
    ASSERT_EQ(sum.at(0, i), expected);
  }
}

TEST_P(BackendMemory, AnOrderedQueueSeesTheWorkOfTheEarlierOne) {
  const auto later = backend->make_queue();
  const Matrix first = random_matrix(DType::kFloat32, 4, 300, 1);
  Matrix out(DType::kFloat32, 4, 300);
  const Tensor from = put(first), between = put(out), to = put(out);
  ASSERT_TRUE(backend->wait(*queue, 0).ok());
  backend->gather_rows(*queue, from, nullptr, between);
  backend->order(*later, *queue);
  backend->gather_rows(*later, between, nullptr, to);
  ASSERT_TRUE(backend->wait(*later, 0).ok());
  get(to, out);
  for (int64_t t = 0; t < 4; ++t) EXPECT_TRUE(out.same_row(t, first, t));
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendMemory, all_backends(), case_name);

TEST(CpuBackend, AnUnknownInstructionSetIsRefusedWithTheAvailableOnes) {
  const auto refused = make_cpu_backend({1, DType::kBFloat16, "avx1024"});
  ASSERT_FALSE(refused.ok());
  const std::string message(refused.status().message());
  for (const char* part : {"TRI-KERN-001", "avx1024", "portable"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(CpuBackend, ReportsItsNameAndTier) {
  const auto backend = make_cpu_backend({1, DType::kBFloat16, "portable"}).value();
  EXPECT_EQ(backend->info().name, "cpu");
  EXPECT_EQ(backend->info().isa, "portable");
  EXPECT_EQ(make_cpu_backend({}).value()->info().isa, best_cpu_tier());
  EXPECT_EQ(backend->kv_layout(80).block_bytes(), 2 * 32 * 80 * 2);
}

}  // namespace
}  // namespace trireme

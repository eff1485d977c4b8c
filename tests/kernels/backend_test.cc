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

TEST_P(BackendMemory, MoreThanThereIsIsRefusedByName) {
  const auto refused = backend->allocate(int64_t{1} << 50, "the KV cache");
  ASSERT_FALSE(refused.ok());
  const std::string message(refused.status().message());
  EXPECT_NE(message.find("TRI-MEM-001"), std::string::npos) << message;
  EXPECT_NE(message.find("the KV cache"), std::string::npos) << message;
  EXPECT_GT(backend->available_bytes(), 0);
}

TEST_P(BackendMemory, GatheredRowsAreTheRowsAskedFor) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const Matrix in = random_matrix(dtype, 9, 17, 1);
    Matrix out(dtype, 4, 17);
    const std::vector<int32_t> rows = {8, 0, 0, 5};
    const Tensor placed = put(out);
    backend->gather_rows(*queue, put(in), put(rows), placed);
    get(placed, out);
    for (int64_t i = 0; i < 4; ++i) EXPECT_TRUE(out.same_row(i, in, rows[i]));
  }
}

TEST_P(BackendMemory, GatheringNothingWritesNothing) {
  Matrix out(DType::kFloat32, 0, 17);
  const Tensor placed = put(out);
  backend->gather_rows(*queue, put(Matrix(DType::kFloat32, 3, 17)), nullptr, placed);
  get(placed, out);
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendMemory, all_backends(), case_name);

TEST(CpuBackend, AnUnknownInstructionSetIsRefusedWithThoseThatAreThere) {
  const auto refused = make_cpu_backend({1, DType::kBFloat16, "avx1024"});
  ASSERT_FALSE(refused.ok());
  const std::string message(refused.status().message());
  for (const char* part : {"TRI-KERN-001", "avx1024", "portable"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(CpuBackend, SaysWhatItIs) {
  const auto backend = make_cpu_backend({1, DType::kBFloat16, "portable"}).value();
  EXPECT_EQ(backend->info().name, "cpu");
  EXPECT_EQ(backend->info().isa, "portable");
  EXPECT_EQ(make_cpu_backend({}).value()->info().isa, best_cpu_isa());
  EXPECT_EQ(backend->kv_layout(80).block_bytes(), 2 * 32 * 80 * 2);
}

}  // namespace
}  // namespace trireme

// A tensor stored as bf16, fp16 or fp32 is converted exactly, or rounded to nearest even, to
// weights of every compute dtype.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "kernels/cpu/cpu_weight.h"
#include "model/checkpoint/checkpoint.h"

namespace trireme {
namespace stored_dtype_test {

struct StoredCase {
  const char* name;
  const char* stored_as;
  DType compute;
  std::vector<uint32_t> stored;  // bits, of the stored width
  std::vector<uint32_t> packed;  // bits of the fp32 that the weight gives back
};

std::string write_one_tensor(const StoredCase& stored, int64_t unit) {
  const std::string folder = testing::TempDir() + "/stored_dtype_test_" + stored.name;
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << "{}";
  const size_t count = stored.stored.size();
  const std::string header =
      format_text("{{\"w\":{{\"dtype\":\"{}\",\"shape\":[1,{}],\"data_offsets\":[0,{}]}}}}",
                  stored.stored_as,
                  count,
                  count * unit);
  const uint64_t length = header.size();
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header;
  for (const uint32_t bits : stored.stored) file.write(reinterpret_cast<const char*>(&bits), unit);
  return folder;
}

class StoredDType : public testing::TestWithParam<StoredCase> {};

TEST_P(StoredDType, ReachesTheWeightExactly) {
  const StoredCase& wanted = GetParam();
  const int64_t unit = std::string(wanted.stored_as) == "F32" ? 4 : 2;
  std::vector<std::string> notes;
  const auto checkpoint = open_checkpoint(write_one_tensor(wanted, unit), notes);
  ASSERT_TRUE(checkpoint.ok()) << message_of(checkpoint.status());
  const StoredTensor* tensor = (*checkpoint)->find("w");
  ASSERT_NE(tensor, nullptr);
  const auto count = static_cast<int64_t>(wanted.stored.size());
  std::vector<std::byte> bytes(count * unit);
  ASSERT_TRUE((*checkpoint)->read(*tensor, {0, 1}, {0, count}, bytes).ok());
  ThreadPool pool(1);
  CpuWeight weight(1, count, {}, wanted.compute);
  const Tensor part(bytes.data(), tensor->dtype, 1, count);
  ASSERT_TRUE(weight.fill(std::span(&part, 1), pool).ok());
  std::vector<float> values(count);
  weight.read_row(0, values.data());
  for (int64_t i = 0; i < count; ++i) {
    const auto expected = std::bit_cast<float>(wanted.packed[i]);
    SCOPED_TRACE(testing::Message() << "value " << i);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(values[i]));
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), wanted.packed[i]);
    }
  }
}

// Zeros, the smallest and the largest subnormal, one, the largest finite value, infinities, NaNs.
const std::vector<uint32_t> kFp16 = {
    0x0000, 0x8000, 0x0001, 0x83ff, 0x3c00, 0x3c01, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0xfe00};
const std::vector<uint32_t> kBf16 = {
    0x0000, 0x8000, 0x0001, 0x807f, 0x3f80, 0x7f7f, 0xff80, 0x7f81};
const std::vector<uint32_t> kBf16Wide = {
    0x00000000, 0x80000000, 0x00010000, 0x807f0000, 0x3f800000, 0x7f7f0000, 0xff800000, 0x7f810000};
const StoredCase kCases[] = {
    {"Bf16AsFloat32", "BF16", DType::kFloat32, kBf16, kBf16Wide},
    {"Bf16AsBfloat16", "BF16", DType::kBFloat16, kBf16, kBf16Wide},
    {"Fp16AsFloat32",
     "F16",
     DType::kFloat32,
     kFp16,
     {0x00000000,
      0x80000000,
      0x33800000,
      0xb87fc000,
      0x3f800000,
      0x3f802000,
      0x477fe000,
      0x7f800000,
      0xff800000,
      0x7fc00000,
      0xffc00000}},
    // 1023 x 2^-24 and 65504 have more bits than bf16 and round up; 1 + 2^-10 rounds down.
    {"Fp16AsBfloat16",
     "F16",
     DType::kBFloat16,
     kFp16,
     {0x00000000,
      0x80000000,
      0x33800000,
      0xb8800000,
      0x3f800000,
      0x3f800000,
      0x47800000,
      0x7f800000,
      0xff800000,
      0x7fc00000,
      0xffc00000}},
    {"Float32AsFloat32",
     "F32",
     DType::kFloat32,
     {0x00000001, 0x807fffff, 0x3f800001, 0x7f7fffff, 0xff800000, 0x7f800001},
     {0x00000001, 0x807fffff, 0x3f800001, 0x7f7fffff, 0xff800000, 0x7fc00000}},
    // Ties round to even, also among subnormals and above the largest finite value.
    {"Float32AsBfloat16",
     "F32",
     DType::kBFloat16,
     {0x3f808000,
      0x3f818000,
      0x3f808001,
      0x3f817fff,
      0x00008000,
      0x00018000,
      0x807fffff,
      0x7f7f7fff,
      0x7f7f8000,
      0xff800000,
      0x7f800001},
     {0x3f800000,
      0x3f820000,
      0x3f810000,
      0x3f810000,
      0x00000000,
      0x00020000,
      0x80800000,
      0x7f7f0000,
      0x7f800000,
      0xff800000,
      0x7fc00000}},
};

INSTANTIATE_TEST_SUITE_P(Cases, StoredDType, testing::ValuesIn(kCases), [](const auto& info) {
  return std::string(info.param.name);
});

}  // namespace stored_dtype_test
}  // namespace trireme

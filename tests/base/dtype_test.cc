#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace trireme {
namespace dtype_test {

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(float_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-8f), 0x3f80);            // half way, even below
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);  // half way, even above
  EXPECT_EQ(float_to_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(BFloat16, KeepsNanAndInfinity) {
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(float_to_bf16(-std::numeric_limits<float>::infinity()), 0xff80);
}

TEST(Float16, WidensEveryClassOfValue) {
  EXPECT_EQ(fp16_to_float(0x3c00), 1.0f);
  EXPECT_EQ(fp16_to_float(0xc500), -5.0f);
  EXPECT_EQ(fp16_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(fp16_to_float(0x83ff), -1023 * 0x1p-24f);
  EXPECT_EQ(fp16_to_float(0x7bff), 65504.0f);
  EXPECT_TRUE(std::isinf(fp16_to_float(0x7c00)));
  EXPECT_TRUE(std::isnan(fp16_to_float(0x7e00)));
  EXPECT_TRUE(std::signbit(fp16_to_float(0x8000)));
}

TEST(DType, EveryFp16RoundTripsThroughFp32) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<fp16_t>(bits);
    const float wide = fp16_to_float(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(fp16_to_float(float_to_fp16(wide))));
    } else {
      ASSERT_EQ(float_to_fp16(wide), half) << bits;
    }
  }
}

TEST(DType, Fp16RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {  // adjacent values up to the largest finite one
    const auto low = static_cast<fp16_t>(bits);
    const auto high = static_cast<fp16_t>(bits + 1);
    const float middle = (fp16_to_float(low) + fp16_to_float(high)) / 2;  // exact in fp32
    ASSERT_EQ(float_to_fp16(middle), bits % 2 == 0 ? low : high) << bits;
    ASSERT_EQ(float_to_fp16(std::nextafter(middle, 0.0f)), low) << bits;
    ASSERT_EQ(float_to_fp16(std::nextafter(middle, 1e9f)), high) << bits;
    ASSERT_EQ(float_to_fp16(-middle), 0x8000 | (bits % 2 == 0 ? low : high)) << bits;
  }
  EXPECT_EQ(float_to_fp16(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_fp16(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_fp16(-std::numeric_limits<float>::infinity()), 0xfc00);
}

}  // namespace dtype_test
}  // namespace trireme

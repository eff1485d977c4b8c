#include "kernels/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/test_data.h"
#include "tests/tolerance.h"

namespace trireme {
namespace {

uint32_t hexadecimal(const nlohmann::json& text) {
  return static_cast<uint32_t>(std::stoul(text.get<std::string>(), nullptr, 16));
}

TEST(Draw, PhiloxGivesThePublishedWords) {
  std::ifstream file(test_data() + "/golden/sampling/philox4x32_10.json");
  const nlohmann::json lines = nlohmann::json::parse(file);
  ASSERT_GT(lines.size(), 3u);
  for (const auto& line : lines) {
    PhiloxBlock counter{}, output{};
    for (int i = 0; i < 4; ++i) {
      counter[i] = hexadecimal(line["counter"][i]);
      output[i] = hexadecimal(line["output"][i]);
    }
    const uint64_t key =
        hexadecimal(line["key"][0]) | static_cast<uint64_t>(hexadecimal(line["key"][1])) << 32;
    EXPECT_EQ(philox4x32(counter, key), output);
  }
}

TEST(Draw, TheLogarithmIsTheLogarithm) {
  for (uint32_t bits = 1; bits < 0x7f800000; bits += 104729) {
    const float x = std::bit_cast<float>(bits);
    const double exact = std::log(static_cast<double>(x));
    ASSERT_NEAR(natural_log(x), exact, elementwise_tolerance(std::abs(exact), DType::kFloat32))
        << x;
  }
  EXPECT_EQ(natural_log(1.0f), 0.0f);
}

TEST(Draw, UniformsLieStrictlyBetweenZeroAndOne) {
  EXPECT_EQ(uniform_of(0), 0x1p-24f);
  EXPECT_LT(uniform_of(~0u), 1.0f);
  EXPECT_TRUE(std::isfinite(gumbel_noise(0)));
  EXPECT_TRUE(std::isfinite(gumbel_noise(~0u)));
  EXPECT_LT(gumbel_noise(0), gumbel_noise(1u << 31));
  EXPECT_LT(gumbel_noise(1u << 31), gumbel_noise(~0u));
}

TEST(Draw, WordsDependOnEveryPartOfTheCounter) {
  const PhiloxBlock words = draw_words(7, 1, 2, 3);
  EXPECT_NE(words, draw_words(8, 1, 2, 3));
  EXPECT_NE(words, draw_words(7, 2, 2, 3));
  EXPECT_NE(words, draw_words(7, 1, 3, 3));
  EXPECT_NE(words, draw_words(7, 1, 2, 4));
  EXPECT_EQ(words, philox4x32({2, 1, 3, 0}, 7));
}

}  // namespace
}  // namespace trireme

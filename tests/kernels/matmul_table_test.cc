#include "kernels/cuda/matmul_table.h"

#include <gtest/gtest.h>

#include <limits>

namespace trireme::cuda {
namespace {

constexpr MatmulOut kPlain = MatmulOut::kActivation;
constexpr MatmulOut kWide = MatmulOut::kFloat32;
constexpr MatmulOut kStaged = MatmulOut::kStaged;
constexpr const char* kKey = "NVIDIA H200 sm_90a bfloat16 cublaslt 130100";

MatmulTable filled() {
  MatmulTable table(kKey);
  table.note({512, 4096, 4096, kPlain}, {{1, 2, 3, 4, 5, 6, 7, ~0ull}, 20.5f, 30.25f});
  table.note({2048, 28672, 4096, kStaged}, {{9}, 0.1f, 1e9f});
  return table;
}

TEST(MatmulTable, KeepsOnlyWhatIsFaster) {
  MatmulTable table(kKey);
  table.note({64, 128, 128, kPlain}, {{1}, 10, 9});
  EXPECT_EQ(table.find({64, 128, 128, kPlain}), nullptr);
  table.note({64, 128, 128, kPlain}, {{1}, 8, 9});
  EXPECT_NE(table.find({64, 128, 128, kPlain}), nullptr);
  table.note({64, 128, 128, kPlain}, {{1}, 9, 9});
  EXPECT_EQ(table.find({64, 128, 128, kPlain}), nullptr);
  ASSERT_NE(table.entry({64, 128, 128, kPlain}), nullptr);
  EXPECT_EQ(table.entry({64, 128, 128, kPlain})->own_time_us, 9);
  EXPECT_EQ(table.entry({65, 128, 128, kPlain}), nullptr);
}

TEST(MatmulTable, KnowsEveryTimedShapeWhicheverWasFaster) {
  MatmulTable table(kKey);
  EXPECT_FALSE(table.knows({64, 128, 128, kPlain}));
  table.note({64, 128, 128, kPlain}, {{1}, std::numeric_limits<float>::infinity(), 9});
  table.note({8, 128, 128, kPlain}, {{1}, 8, 9});
  MatmulTable loaded(kKey);
  ASSERT_TRUE(loaded.load(table.save()));
  for (const int32_t rows : {5, 8, 49, 64}) EXPECT_TRUE(loaded.knows({rows, 128, 128, kPlain}));
  EXPECT_FALSE(loaded.knows({65, 128, 128, kPlain}));
  EXPECT_EQ(loaded.find({64, 128, 128, kPlain}), nullptr);
  EXPECT_NE(loaded.find({8, 128, 128, kPlain}), nullptr);
}

TEST(MatmulTable, RowsOfABucketShareAChoice) {
  const MatmulTable table = filled();
  ASSERT_NE(table.find({500, 4096, 4096, kPlain}), nullptr);
  EXPECT_EQ(table.find({500, 4096, 4096, kPlain}), table.find({512, 4096, 4096, kPlain}));
  EXPECT_EQ(table.find({480, 4096, 4096, kPlain}), table.find({512, 4096, 4096, kPlain}));
  EXPECT_EQ(table.find({513, 4096, 4096, kPlain}), nullptr);
  EXPECT_EQ(table.find({512, 4096, 4096, kStaged}), nullptr);
  EXPECT_EQ(table.find({512, 4096, 4096, kWide}), nullptr);
  EXPECT_EQ(bucket_of_rows(1), 1);
  EXPECT_EQ(bucket_of_rows(3), 4);
  EXPECT_EQ(bucket_of_rows(65), 96);
  EXPECT_EQ(bucket_of_rows(513), 1024);
  EXPECT_EQ(bucket_of_rows(8192), 8192);
}

TEST(MatmulTable, LoadsWhatItSaved) {
  const MatmulTable table = filled();
  MatmulTable other(kKey);
  ASSERT_TRUE(other.load(table.save()));
  EXPECT_EQ(other.size(), 2u);
  EXPECT_EQ(other.save(), table.save());
  EXPECT_EQ(*other.find({512, 4096, 4096, kPlain}), *table.find({512, 4096, 4096, kPlain}));
  EXPECT_EQ(table.file_name(), "matmul-NVIDIA_H200_sm_90a_bfloat16_cublaslt_130100.txt");
}

TEST(MatmulTable, RefusesAnotherKeyTruncationAndDamage) {
  const std::string bytes = filled().save();
  MatmulTable stranger("NVIDIA A100 sm_80 bfloat16 cublaslt 130100");
  EXPECT_FALSE(stranger.load(bytes));
  MatmulTable table = filled();
  for (size_t size = 0; size + 1 < bytes.size(); ++size) {
    ASSERT_FALSE(table.load(bytes.substr(0, size))) << size;
    ASSERT_EQ(table.size(), 0u);
  }
  for (size_t at = 0; at + 1 < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_FALSE(table.load(damaged)) << at;
  }
  for (const char* line :
       {"0 1 1 0 1 2", "1 1 1 3 1 2", "1 1 1 -1 1 2", "1 1 1 0 2 1", "1 1 1 0 nan 1", "x"}) {
    std::string damaged = bytes;
    std::string words;
    for (int i = 0; i < 8; ++i) words += " 0000000000000001";
    damaged.insert(damaged.size() - 4, line + words + "\n");
    ASSERT_FALSE(table.load(damaged)) << line;
  }
}

}  // namespace
}  // namespace trireme::cuda

#include "kernels/cuda/linear/linear_launch.h"

#include <gtest/gtest.h>

#include <vector>

namespace trireme::cuda {
namespace {

constexpr int64_t kRowPad = 128;

int64_t padded(int64_t n) { return (n + kRowPad - 1) / kRowPad * kRowPad; }

// Two blocks per SM of every tile but the largest, as ptxas is told to leave registers for.
LinearBudget budget_of(int32_t num_blocks) { return {num_blocks, {{2, 2, 2, 2, 2, 1}}}; }

std::vector<LinearShape> shapes() {
  std::vector<LinearShape> all;
  for (const int32_t rows : {1, 7, 8, 9, 16, 17, 40, 64, 65, 129, 300, 512, 2048, 8192}) {
    for (const int32_t n : {1, 17, 129, 700, 4096, 6144, 28672, 128256}) {
      for (const int32_t k : {1, 64, 129, 255, 1000, 4096, 14336}) all.push_back({rows, n, k});
    }
  }
  return all;
}

// Calls `check` for every shape, budget and mode.
template <class Check>
void for_each_launch(const Check& check) {
  for (const bool invariant : {false, true}) {
    for (const int32_t blocks : {1, 16, 108, 132}) {
      for (const LinearShape& shape : shapes()) {
        const LinearLaunch launch = choose_linear(shape, budget_of(blocks), invariant);
        SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.n << " x " << shape.k
                                        << ", " << blocks << " blocks, invariant " << invariant);
        check(shape, launch);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(LinearLaunch, TilesCoverTheOutputOnceAndStayInsideThePaddedWeight) {
  for_each_launch([](const LinearShape& shape, const LinearLaunch& launch) {
    EXPECT_GE(launch.row_tiles * launch.tile_rows, shape.n);
    EXPECT_LE(launch.row_tiles * launch.tile_rows, padded(shape.n));
    EXPECT_LT((launch.row_tiles - 1) * launch.tile_rows, shape.n);
    EXPECT_GE(launch.token_tiles * launch.tile_tokens, shape.rows);
    EXPECT_LT((launch.token_tiles - 1) * launch.tile_tokens, shape.rows);
  });
}

TEST(LinearLaunch, EveryTileHasOneBlock) {
  for (const int32_t row_tiles : {1, 3, 32, 1002}) {
    for (const int32_t token_tiles : {1, 2, 7, 8, 9, 16, 37}) {
      std::vector<int> blocks(static_cast<size_t>(row_tiles) * token_tiles);
      for (int32_t i = 0; i < row_tiles * token_tiles; ++i) {
        const TilePlace place = place_of_block(i, row_tiles, token_tiles);
        ASSERT_TRUE(place.row_tile >= 0 && place.row_tile < row_tiles);
        ASSERT_TRUE(place.token_tile >= 0 && place.token_tile < token_tiles);
        ++blocks[static_cast<size_t>(place.row_tile) * token_tiles + place.token_tile];
      }
      for (const int count : blocks) ASSERT_EQ(count, 1);
    }
  }
}

TEST(LinearLaunch, ChunksCoverAllStripsAndNoneIsEmpty) {
  for_each_launch([](const LinearShape& shape, const LinearLaunch& launch) {
    const int32_t strips = (shape.k + kStripColumns - 1) / kStripColumns;
    ASSERT_GE(launch.chunk_strips, 1);
    ASSERT_GE(launch.split_k, 1);
    const int32_t chunks = (strips + launch.chunk_strips - 1) / launch.chunk_strips;
    EXPECT_LE(chunks, kMaxSplit);
    if (launch.split_k > 1) {
      EXPECT_EQ(launch.split_k, chunks);
      EXPECT_GE(launch.chunk_strips, kMinChunkStrips);
    } else if (!launch.folds) {
      EXPECT_EQ(chunks, 1);
    }
  });
}

TEST(LinearLaunch, PartialSumsFitTheirBound) {
  for_each_launch([](const LinearShape& shape, const LinearLaunch& launch) {
    const int64_t bytes = partial_bytes(shape, launch);
    EXPECT_LE(bytes, kPartialBytes);
    EXPECT_LE(bytes, kMaxSplit * shape.rows * padded(shape.n) * 4);
    EXPECT_EQ(bytes > 0, launch.split_k > 1);
  });
}

// D1 relies on it: the chunks of K depend on neither rows nor budget, and the stream kernel is not
// used.
TEST(LinearLaunch, InvariantChunksDependOnTheWeightAlone) {
  for (const LinearShape& shape : shapes()) {
    const LinearLaunch one = choose_linear({1, shape.n, shape.k}, budget_of(132), true);
    for (const int32_t blocks : {1, 132}) {
      const LinearLaunch launch = choose_linear(shape, {blocks, {{blocks, 2, 3, 1, 4, 1}}}, true);
      ASSERT_EQ(launch.chunk_strips, one.chunk_strips);
      ASSERT_TRUE(!launch.streams && launch.folds && launch.tile_tokens <= 128);
    }
  }
}

TEST(LinearLaunch, FewRowsStreamAndManyUseWideTiles) {
  const LinearBudget budget = budget_of(132);
  EXPECT_TRUE(choose_linear({16, 4096, 4096}, budget, false).streams);
  EXPECT_FALSE(choose_linear({17, 4096, 4096}, budget, false).streams);
  EXPECT_EQ(choose_linear({8192, 4096, 4096}, budget, false).tile_tokens, 256);
}

// 32 tiles on 132 SMs: K is split so that the blocks fill the SMs.
TEST(LinearLaunch, TheFastModeSplitsKToFillTheResidentBlocks) {
  for (const int32_t resident : {1, 2, 3}) {
    LinearBudget budget = {132, {}};
    budget.resident.of(32) = resident;
    const LinearLaunch cut = choose_linear({32, 4096, 4096}, budget, false);
    EXPECT_LE(cut.num_tiles() * cut.split_k, resident * 132);
    EXPECT_GT(cut.num_tiles() * cut.split_k, (resident - 1) * 132);
  }
}

TEST(LinearLaunch, WideTilesAreUsedWhereTheyFillTheResidentBlocks) {
  LinearBudget budget = {128, {}};
  EXPECT_EQ(choose_linear({1024, 4096, 4096}, budget, false).tile_tokens, 256) << "128 tiles";
  budget.resident.of(256) = 2;
  EXPECT_EQ(choose_linear({1024, 4096, 4096}, budget, false).tile_tokens, 128);
}

// The limit of 200 graph nodes per step relies on it: no separate launch for norms, rope and pages.
TEST(LinearLaunch, ADecodeOfOneTokenOfLlama8BUsesTails) {
  for (const int32_t blocks : {108, 114, 132}) {  // A100, H100 PCIe, H100 and H200
    for (const int32_t k : {4096, 14336}) {
      const LinearShape shape = {1, 4096, k};
      EXPECT_TRUE(takes_norm(shape, choose_linear(shape, budget_of(blocks), false)));
      EXPECT_FALSE(takes_norm(shape, choose_linear(shape, budget_of(blocks), true)));
    }
    const LinearShape qkv = {1, 6144, 4096};
    EXPECT_TRUE(takes_heads(qkv, choose_linear(qkv, budget_of(blocks), false), 128));
    EXPECT_FALSE(takes_heads(qkv, choose_linear(qkv, budget_of(blocks), true), 128));
  }
}

TEST(LinearLaunch, ATailTakesFewRowsAndWholeHeads) {
  const auto norm = [](const LinearShape& shape) {
    return takes_norm(shape, choose_linear(shape, budget_of(132), false));
  };
  EXPECT_TRUE(norm({kMaxNormRows, kMaxNormWidth, 64}));
  EXPECT_FALSE(norm({kMaxNormRows + 1, kMaxNormWidth, 64}));
  EXPECT_FALSE(norm({1, kMaxNormWidth + 8, 64}));
  const auto heads = [](const LinearShape& shape, int32_t head_dim) {
    return takes_heads(shape, choose_linear(shape, budget_of(132), false), head_dim);
  };
  EXPECT_TRUE(heads({kMaxHeadRows, 1600, 64}, 80));   // tiles of 16 rows
  EXPECT_FALSE(heads({kMaxHeadRows, 8000, 64}, 80));  // tiles of 32: a head ends inside one
  EXPECT_FALSE(heads({kMaxHeadRows + 1, 1600, 64}, 80));
  EXPECT_TRUE(heads({1, kMaxTailHeads * 64, 64}, 64));
  EXPECT_FALSE(heads({1, (kMaxTailHeads + 1) * 64, 64}, 64));
}

TEST(LinearLaunch, NoRowsAreNoTiles) {
  for (const bool invariant : {false, true}) {
    EXPECT_EQ(choose_linear({0, 4096, 4096}, budget_of(132), invariant).num_tiles(), 0);
    EXPECT_EQ(choose_linear({5, 0, 64}, budget_of(132), invariant).num_tiles(), 0);
  }
}

}  // namespace
}  // namespace trireme::cuda

// Every instance of the tile matmul, launched directly.
#include <memory>
#include <random>

#include "base/dtype.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "tests/emulation/emulated.h"

namespace trireme::cuda {
namespace linear_tile_test {

using emulation::DeviceArray;

constexpr int32_t kRows = 140;
constexpr int32_t kColumns = 200;
constexpr int32_t kK = 595;
constexpr int32_t kStrips = 10;
constexpr int32_t kPaddedN = 256;
constexpr int32_t kXStride = 600;

std::vector<uint16_t> random_elements(int64_t rows, int64_t width, int64_t stride, bool is_bf16) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> elements(rows * stride, 0);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      const float value = normal(random);
      elements[row * stride + i] = is_bf16 ? float_to_bf16(value) : float_to_fp16(value);
    }
  }
  return elements;
}

struct TileChoice {
  int32_t tokens;
  bool folds;
};

class LinearTile : public testing::TestWithParam<bool> {
 protected:
  LinearTile()
      : x_(random_elements(kRows, kXStride, kXStride, GetParam())),
        weight_(padded_weight()),
        out_(size_t{kRows} * kColumns),
        partials_(size_t{kStrips} * kRows * kPaddedN) {
    TileResidency resident;
    EXPECT_EQ(prepare_linear_tile(GetParam(), resident), cudaSuccess);
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
    EXPECT_EQ(cudaEventCreate(&event), cudaSuccess);
    queue_ = std::make_unique<CudaQueue>(stream, event, 1);
  }

  // The product as fp32 bits, with K divided into chunks of `chunk_strips`; one block per tile or
  // per chunk.
  std::vector<float> product(TileChoice choice, int32_t chunk_strips, bool is_split) {
    LinearLaunch launch;
    launch.tile_tokens = choice.tokens;
    launch.tile_rows = kTileRows;
    launch.stages = choice.tokens == 128 ? 3 : 4;
    launch.folds = choice.folds;
    launch.row_tiles = kPaddedN / kTileRows;
    launch.token_tiles = (kRows + choice.tokens - 1) / choice.tokens;
    launch.chunk_strips = chunk_strips;
    launch.split_k = is_split ? (kStrips + chunk_strips - 1) / chunk_strips : 1;
    LinearTask task;
    task.x = x_.data();
    task.weight = weight_.data();
    task.partials = partials_.data();
    task.out = out_.data();
    task.x_stride = kXStride;
    task.out_stride = kColumns;
    task.padded_k = kStrips * kStripColumns;
    task.rows = kRows;
    task.k = kK;
    task.padded_n = kPaddedN;
    task.columns = kColumns;
    task.row_tiles = launch.row_tiles;
    task.token_tiles = launch.token_tiles;
    task.num_strips = kStrips;
    task.chunk_strips = chunk_strips;
    task.split_k = launch.split_k;
    task.out_is_fp32 = true;
    task.out_is_aligned = true;
    launch_linear_tile(*queue_, launch, task, GetParam());
    if (launch.split_k > 1) launch_linear_finish(*queue_, task, GetParam());
    EXPECT_EQ(cudaStreamSynchronize(queue_->stream()), cudaSuccess);
    EXPECT_TRUE(queue_->failure().ok());
    return out_.read();
  }

  void expect_product(const std::vector<float>& out) {
    const std::vector<uint16_t> x = x_.read();
    const std::vector<uint16_t> weight = weight_.read();
    for (int32_t t = 0; t < kRows; ++t) {
      for (int32_t j = 0; j < kColumns; ++j) {
        double sum = 0;
        for (int32_t i = 0; i < kK; ++i) {
          sum +=
              double{value(x[t * kXStride + i])} * value(weight[j * kStrips * kStripColumns + i]);
        }
        ASSERT_NEAR(out[t * kColumns + j], sum, 1e-3);
      }
    }
  }

 private:
  static float value(uint16_t element) {
    return GetParam() ? bf16_to_float(element) : fp16_to_float(element);
  }
  static std::vector<uint16_t> padded_weight() {
    std::vector<uint16_t> elements =
        random_elements(kColumns, kK, kStrips * kStripColumns, GetParam());
    elements.resize(size_t{kPaddedN} * kStrips * kStripColumns, 0);
    return elements;
  }

  DeviceArray<uint16_t> x_;
  DeviceArray<uint16_t> weight_;
  DeviceArray<float> out_;
  DeviceArray<float> partials_;
  std::unique_ptr<CudaQueue> queue_;
};

constexpr TileChoice kFolding[] = {{8, true}, {16, true}, {32, true}, {64, true}, {128, true}};
constexpr TileChoice kPlain[] = {{128, false}, {256, false}};

// --invariant relies on it: neither the tile nor the blocks that add the chunks show in the bits.
TEST_P(LinearTile, EveryInstanceAddsInTheSameOrder) {
  for (const int32_t chunk_strips : {kStrips, 4}) {
    const std::vector<float> expected = product({8, true}, chunk_strips, true);
    expect_product(expected);
    for (const TileChoice& choice : kFolding) {
      ASSERT_EQ(product(choice, chunk_strips, false), expected) << choice.tokens << " tokens";
      ASSERT_EQ(product(choice, chunk_strips, true), expected) << choice.tokens << " tokens, split";
    }
    for (const TileChoice& choice : kPlain) {
      ASSERT_EQ(product(choice, chunk_strips, true), expected) << choice.tokens << " tokens, split";
    }
  }
}

TEST_P(LinearTile, TheChunksOfKShowInTheBits) {
  EXPECT_NE(product({8, true}, 4, false), product({8, true}, kStrips, false));
}

INSTANTIATE_TEST_SUITE_P(Types, LinearTile, testing::Bool(), [](const auto& info) {
  return info.param ? "bfloat16" : "float16";
});

}  // namespace linear_tile_test
}  // namespace trireme::cuda

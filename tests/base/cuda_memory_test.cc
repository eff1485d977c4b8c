#include "base/cuda_memory.h"

#include <gtest/gtest.h>

namespace trireme {
namespace cuda_memory_test {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(CudaMemory, PiecesAreFewAndOfEqualSize) {
  EXPECT_EQ(cuda_piece_rows(8192, 28672), 2048);  // gate and up of Llama 3.1 8B
  EXPECT_EQ(cuda_piece_rows(8192, 57344), 1024);  // of 70B
  EXPECT_EQ(cuda_piece_rows(2048, 28672), 2048);
  EXPECT_EQ(cuda_piece_rows(2049, 28672), 1152);
  EXPECT_EQ(cuda_piece_rows(5000, 28672), 1792);  // 1792, 1792, 1416
  EXPECT_EQ(cuda_piece_rows(1, 128), 1);
  for (const int64_t padded_n : {128, 6144, 28672, 57344, 1 << 20}) {
    const int64_t most = cuda_max_piece_rows(padded_n);
    for (int64_t rows = 1; rows < 20000; rows += 17) {
      const int64_t piece = cuda_piece_rows(rows, padded_n);
      ASSERT_LE(piece, most) << rows;
      if (piece == rows) continue;
      ASSERT_EQ(piece % kCudaPieceUnit, 0) << rows;
      ASSERT_EQ((rows + piece - 1) / piece, (rows + most - 1) / most) << rows;
      if (most == kCudaPieceRows) {
        ASSERT_GE(piece, kCudaPieceRows / 2) << rows;
      }
    }
  }
}

TEST(CudaMemory, AWorkspaceHoldsTheLargestPieceAndTheLibrarysMemory) {
  EXPECT_EQ(cuda_workspace_bytes(8192, 28672), 128 * kMiB);
  EXPECT_EQ(cuda_workspace_bytes(8192, 57344), 128 * kMiB);
  EXPECT_EQ(cuda_workspace_bytes(512, 28672), 44 * kMiB);
  EXPECT_EQ(cuda_workspace_bytes(8192, 0), 32 * kMiB);  // --invariant
  EXPECT_EQ(cuda_workspace_bytes(200, 28672), 32 * kMiB);
  for (const int64_t n : {100, 6144, 28600, 57344}) {
    const int64_t padded_n = (n + 127) / 128 * 128;
    for (const int64_t max_rows : {1, 100, 2047, 2048, 2049, 8192}) {
      for (int64_t rows = 1; rows <= max_rows; ++rows) {
        const int64_t piece = cuda_piece_rows(rows, padded_n);
        ASSERT_LE(cuda_staged_bytes(piece, padded_n) + kCudaLibraryBytes,
                  cuda_workspace_bytes(max_rows, n))
            << rows << " of " << max_rows;
      }
    }
  }
}

}  // namespace cuda_memory_test
}  // namespace trireme

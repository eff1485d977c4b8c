// The epilogue of a matmul, launched directly.
#include <memory>

#include "base/dtype.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "tests/emulation/emulated.h"

namespace trireme::cuda {
namespace linear_finish_test {

using emulation::DeviceArray;

std::unique_ptr<CudaQueue> make_queue() {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  EXPECT_EQ(cudaEventCreate(&event), cudaSuccess);
  return std::make_unique<CudaQueue>(stream, event, 1);
}

// A grid has room for 65,535 blocks in y and in z.
TEST(LinearFinish, TakesMoreRowsThanAGridHasInY) {
  constexpr int32_t kRows = 65'537;
  constexpr int32_t kColumns = 8;
  std::vector<float> sums(size_t{kRows} * kColumns);
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<float>(i % 1000);
  DeviceArray<float> partials(sums);
  DeviceArray<float> out(sums.size());
  LinearTask task;
  task.partials = partials.data();
  task.out = out.data();
  task.out_stride = kColumns;
  task.rows = kRows;
  task.padded_n = kColumns;
  task.columns = kColumns;
  task.out_is_fp32 = true;
  task.out_is_aligned = true;
  const auto queue = make_queue();
  launch_linear_finish(*queue, task, true);
  EXPECT_EQ(cudaStreamSynchronize(queue->stream()), cudaSuccess);
  EXPECT_TRUE(queue->is_usable()) << queue->failure();
  EXPECT_EQ(out.read(), sums);
}

}  // namespace linear_finish_test
}  // namespace trireme::cuda

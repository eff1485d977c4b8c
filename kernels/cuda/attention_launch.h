// The attention kernels' instances: (stored width, type, kernel), each compiled for every target.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/attention_work.h"
#include "kernels/cuda/cuda_queue.h"

namespace trireme::cuda {

// Largest use of one instance over the targets (sm_80, sm_90a), held by the budget test; the shared
// bytes are those of an invariant launch, a fast one takes no more.
struct AttentionInstance {
  AttentionKernel kernel;
  int32_t stored_dim;
  bool is_bf16;
  int32_t registers;
  int32_t shared_bytes;
};

constexpr AttentionInstance kAttentionInstances[] = {
    {kPrefillKernel, 64, true, 218, 83584},   {kPrefillKernel, 64, false, 218, 83584},
    {kPrefillKernel, 80, true, 237, 104064},  {kPrefillKernel, 80, false, 237, 104064},
    {kPrefillKernel, 96, true, 241, 124544},  {kPrefillKernel, 96, false, 241, 124544},
    {kPrefillKernel, 128, true, 254, 165504}, {kPrefillKernel, 128, false, 254, 165504},
    {kPrefillKernel, 256, true, 242, 164736}, {kPrefillKernel, 256, false, 242, 164736},
    {kDecodeKernel, 64, true, 163, 137600},   {kDecodeKernel, 64, false, 163, 137600},
    {kDecodeKernel, 80, true, 168, 130944},   {kDecodeKernel, 80, false, 168, 130944},
    {kDecodeKernel, 96, true, 189, 132480},   {kDecodeKernel, 96, false, 189, 132480},
    {kDecodeKernel, 128, true, 219, 143744},  {kDecodeKernel, 128, false, 219, 143744},
    {kDecodeKernel, 256, true, 252, 156032},  {kDecodeKernel, 256, false, 252, 156032},
};

constexpr int32_t listed_shared_bytes(AttentionKernel kernel, int32_t stored_dim) {
  for (const AttentionInstance& instance : kAttentionInstances) {
    if (instance.kernel == kernel && instance.stored_dim == stored_dim) {
      return instance.shared_bytes;
    }
  }
  return 0;
}

// action.operator()<kDim>() for the instance of a stored width.
template <class Action>
auto for_width(int32_t stored_dim, Action&& action) {
  switch (stored_dim) {
    case 64:
      return action.template operator()<64>();
    case 80:
      return action.template operator()<80>();
    case 96:
      return action.template operator()<96>();
    case 128:
      return action.template operator()<128>();
    default:
      return action.template operator()<256>();
  }
}

cudaError_t prepare_prefill();
cudaError_t prepare_decode();

// The plan's units of each kernel; the blocks are those the plan was made for.
void launch_prefill(
    CudaQueue& queue, const AttentionWork& work, int32_t stored_dim, bool is_bf16, int32_t blocks);
void launch_decode(
    CudaQueue& queue, const AttentionWork& work, int32_t stored_dim, bool is_bf16, int32_t blocks);

}  // namespace trireme::cuda

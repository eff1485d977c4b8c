// The attention kernels' instances: (stored width, type, kernel), each compiled for every target.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/attention_work.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

// Largest use of one instance over the targets (sm_80, sm_90a), held by the budget test. A launch
// takes `shared_bytes` or, lean (AttentionFit), `lean_bytes`, which every device has.
struct AttentionInstance {
  AttentionKernel kernel;
  int32_t stored_dim;
  bool is_bf16;
  int32_t registers;
  int32_t shared_bytes;
  int32_t lean_bytes;
};

constexpr AttentionInstance kAttentionInstances[] = {
    {kPrefillKernel, 64, true, 217, 83584, 50816},
    {kPrefillKernel, 64, false, 217, 83584, 50816},
    {kPrefillKernel, 80, true, 234, 104064, 63104},
    {kPrefillKernel, 80, false, 234, 104064, 63104},
    {kPrefillKernel, 96, true, 241, 124544, 75392},
    {kPrefillKernel, 96, false, 241, 124544, 75392},
    {kPrefillKernel, 128, true, 255, 165504, 99968},
    {kPrefillKernel, 128, false, 255, 165504, 99968},
    {kPrefillKernel, 256, true, 254, 164736, 99200},
    {kPrefillKernel, 256, false, 254, 164736, 99200},
    {kDecodeKernel, 64, true, 168, 137600, 96640},
    {kDecodeKernel, 64, false, 168, 137600, 96640},
    {kDecodeKernel, 80, true, 168, 130944, 100224},
    {kDecodeKernel, 80, false, 168, 130944, 100224},
    {kDecodeKernel, 96, true, 189, 132480, 95616},
    {kDecodeKernel, 96, false, 189, 132480, 95616},
    {kDecodeKernel, 128, true, 223, 143744, 94592},
    {kDecodeKernel, 128, false, 223, 143744, 94592},
    {kDecodeKernel, 256, true, 255, 156032, 91008},
    {kDecodeKernel, 256, false, 255, 156032, 91008},
};

// Of the one type; the other's takes as much.
constexpr AttentionInstance listed_instance(AttentionKernel kernel, int32_t stored_dim) {
  for (const AttentionInstance& instance : kAttentionInstances) {
    if (instance.kernel == kernel && instance.stored_dim == stored_dim) return instance;
  }
  return {};
}

// The mode of an instance on a device that gives a block `shared_limit` bytes. Prefill of the fast
// mode keeps no run: lean, less the run's m and l. One block an SM until the device is asked.
constexpr AttentionFit choose_fit(const AttentionInstance& instance,
                                  bool is_invariant,
                                  int64_t shared_limit) {
  const bool is_prefill = instance.kernel == kPrefillKernel;
  AttentionFit fit;
  fit.is_lean = (is_prefill && !is_invariant) || instance.shared_bytes > shared_limit;
  fit.shared_bytes = fit.is_lean ? instance.lean_bytes : instance.shared_bytes;
  if (!is_prefill || !fit.is_lean) return fit;
  if (is_invariant) fit.run_bytes = run_bytes(instance.stored_dim);
  if (!is_invariant) fit.shared_bytes -= prefill_rows(instance.stored_dim) * 8;
  return fit;
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

// Chooses the fit of one width and asks the device for its blocks. Backends of one process may
// differ in mode: the kernel is allowed what either takes.
template <class... Parameters>
cudaError_t prepare_instance(void (*kernel)(Parameters...),
                             const AttentionInstance& listed,
                             bool is_invariant,
                             int64_t shared_limit,
                             AttentionFits& fits) {
  AttentionFit& fit = fits.of(listed.stored_dim)[listed.kernel];
  fit = choose_fit(listed, is_invariant, shared_limit);
  const AttentionFit largest = choose_fit(listed, true, shared_limit);
  const cudaError_t error = allow_shared_memory(kernel, largest.shared_bytes);
  if (error != cudaSuccess) return error;
  return ask_resident_blocks(kernel, kAttentionThreads, fit.shared_bytes, fit.blocks_per_sm);
}

// Fill in their kernel's fits for one type.
cudaError_t prepare_prefill(bool is_bf16,
                            bool is_invariant,
                            int64_t shared_limit,
                            AttentionFits& fits);
cudaError_t prepare_decode(bool is_bf16,
                           bool is_invariant,
                           int64_t shared_limit,
                           AttentionFits& fits);

// The plan's units of each kernel, by as many blocks as the plan was made for: launch_blocks(fit).
void launch_prefill(CudaQueue& queue,
                    const AttentionWork& work,
                    int32_t stored_dim,
                    bool is_bf16,
                    const AttentionFit& fit);
void launch_decode(CudaQueue& queue,
                   const AttentionWork& work,
                   int32_t stored_dim,
                   bool is_bf16,
                   const AttentionFit& fit);

}  // namespace trireme::cuda

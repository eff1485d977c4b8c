// The table of attention kernel instances (kernel, stored width, element type), each compiled for
// every target, and the dispatch to them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/attention/attention_work.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

// Maximum resources of one instance over the targets (sm_80, sm_90a), held by the budget test. A
// launch takes `shared_bytes` or, in the lean variant (AttentionFit), `lean_bytes`, which every
// device has.
struct AttentionInstance {
  AttentionKernel kernel;
  int32_t stored_dim;
  bool is_bf16;
  int32_t registers;
  int32_t shared_bytes;
  int32_t lean_bytes;
};

constexpr AttentionInstance kAttentionInstances[] = {
    {kPrefillKernel, 64, true, 222, 84608, 51840},
    {kPrefillKernel, 64, false, 222, 84608, 51840},
    {kPrefillKernel, 80, true, 242, 105088, 64128},
    {kPrefillKernel, 80, false, 242, 105088, 64128},
    {kPrefillKernel, 96, true, 252, 125568, 76416},
    {kPrefillKernel, 96, false, 252, 125568, 76416},
    {kPrefillKernel, 128, true, 255, 166528, 100992},
    {kPrefillKernel, 128, false, 255, 166528, 100992},
    {kPrefillKernel, 256, true, 254, 165248, 99712},
    {kPrefillKernel, 256, false, 254, 165248, 99712},
    {kDecodeKernel, 64, true, 199, 137856, 96896},
    {kDecodeKernel, 64, false, 199, 137856, 96896},
    {kDecodeKernel, 80, true, 195, 131200, 100480},
    {kDecodeKernel, 80, false, 195, 131200, 100480},
    {kDecodeKernel, 96, true, 199, 132736, 95872},
    {kDecodeKernel, 96, false, 199, 132736, 95872},
    {kDecodeKernel, 128, true, 209, 144000, 94848},
    {kDecodeKernel, 128, false, 209, 144000, 94848},
    {kDecodeKernel, 256, true, 251, 156288, 93312},
    {kDecodeKernel, 256, false, 251, 156288, 93312},
};

// The bf16 entry; the fp16 instance takes the same resources.
constexpr AttentionInstance listed_instance(AttentionKernel kernel, int32_t stored_dim) {
  for (const AttentionInstance& instance : kAttentionInstances) {
    if (instance.kernel == kernel && instance.stored_dim == stored_dim) return instance;
  }
  return {};
}

// The variant of an instance on a device that gives a block `shared_limit` bytes. Prefill in the
// fast mode accumulates nothing across cuts: the lean variant, without the accumulated m and l.
// blocks_per_sm stays 1 until the device is asked.
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

// Calls action.operator()<kDim>() with the stored width as a constant.
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

// Chooses the variant of one width and asks the device for its resident blocks. The backends of one
// process may differ in mode, so the kernel is allowed the shared memory of either.
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

// Prepares all instances of one kernel and type. `Instances` gives the kernel (kKernel, kName), its
// instance of a width (of_type<kDim>()), and whether an instance takes the listed bytes
// (is_listed<kDim>()).
template <class Instances>
cudaError_t prepare_instances(bool is_bf16,
                              bool is_invariant,
                              int64_t shared_limit,
                              AttentionFits& fits) {
  cudaError_t error = cudaSuccess;
  for (const int32_t width : kAttentionWidths) {
    const cudaError_t failed = for_width(width, [&]<int kDim>() {
      constexpr AttentionInstance kListed = listed_instance(Instances::kKernel, kDim);
      static_assert(Instances::template is_listed<kDim>(kListed));
      static_assert(kListed.lean_bytes <= kMinSharedBytes);
      const auto kernel = Instances::template of_type<kDim>(is_bf16);
      return prepare_instance(kernel, kListed, is_invariant, shared_limit, fits);
    });
    if (error == cudaSuccess) error = failed;
  }
  return error;
}

template <class Instances>
void launch_instance(CudaQueue& queue,
                     const AttentionWork& work,
                     int32_t stored_dim,
                     bool is_bf16,
                     const AttentionFit& fit) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(launch_blocks(fit, queue.num_blocks())));
  config.block = dim3(kAttentionThreads);
  config.shared_bytes = fit.shared_bytes;
  for_width(stored_dim, [&]<int kDim>() {
    launch(queue, Instances::kName, Instances::template of_type<kDim>(is_bf16), config, work);
  });
}

// Set the fits of their kernel, for one type.
cudaError_t prepare_prefill(bool is_bf16,
                            bool is_invariant,
                            int64_t shared_limit,
                            AttentionFits& fits);
cudaError_t prepare_decode(bool is_bf16,
                           bool is_invariant,
                           int64_t shared_limit,
                           AttentionFits& fits);

// Run the units of the plan for their kernel, on the number of blocks that the plan was made for:
// launch_blocks(fit).
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

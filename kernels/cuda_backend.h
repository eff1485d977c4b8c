// Makes a CUDA backend: one GPU of this machine. Built without CUDA this is a stub that says so.
#pragma once

#include <memory>

#include "base/status.h"
#include "kernels/backend.h"

namespace trireme {

struct CudaBackendOptions {
  int device = 0;
  DType dtype = DType::kBFloat16;  // or kFloat16
  bool invariant = false;          // D1 bit for bit: one matmul family, fixed KV cuts
  int32_t max_tokens = 512;        // rows of one step
};

// TRI-CUDA-002: built without CUDA, or no such device, driver or type; says which.
StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions& options);
// GPUs that this process sees; 0 without CUDA.
int num_cuda_devices();

}  // namespace trireme

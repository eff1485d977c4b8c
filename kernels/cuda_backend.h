// Makes a CUDA backend over one GPU of this machine. A build without CUDA links a stub, which
// returns TRI-CUDA-002.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"

namespace trireme {

struct CudaBackendOptions {
  int device = 0;
  DType dtype = DType::kBFloat16;  // or kFloat16
  bool invariant = false;          // batch-invariant: one matmul family, fixed KV partitions
  int32_t max_batched_tokens = 0;  // maximum rows per step
};

// TRI-CUDA-002: built without CUDA, or the device, driver or dtype is missing; names which.
StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions& options);
// Number of GPUs visible to this process; 0 without CUDA.
int num_cuda_devices();

struct CudaDevice {
  std::string name;
  int major = 0;  // of the compute capability
  int minor = 0;
  int64_t memory_bytes = 0;  // total
  std::vector<int> peers;    // devices whose memory it can access
};
// Devices visible to this process, found without creating a context.
struct CudaDeviceQuery {
  int driver = 0;   // newest CUDA version that the driver supports: 13000 is 13.0
  int runtime = 0;  // CUDA version that this program was built with
  std::vector<CudaDevice> devices;
};
bool is_built_with_cuda();
// TRI-CUDA-002: built without CUDA, or no driver or device; names which.
StatusOr<CudaDeviceQuery> query_cuda_devices();

}  // namespace trireme

// Makes a CUDA backend: one GPU of this machine. Built without CUDA this is a stub that says so.
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
  bool invariant = false;          // D1 bit for bit: one matmul family, fixed KV cuts
  int32_t max_batched_tokens = 0;  // rows of one step
};

// TRI-CUDA-002: built without CUDA, or no such device, driver or type; says which.
StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions& options);
// GPUs that this process sees; 0 without CUDA.
int num_cuda_devices();

struct CudaDevice {
  std::string name;
  int major = 0;  // of the compute capability
  int minor = 0;
  int64_t memory_bytes = 0;  // all of it
  std::vector<int> peers;    // the devices whose memory it reaches
};
// What this process sees, without a context on any device.
struct CudaSurvey {
  int driver = 0;   // the newest CUDA that the driver serves: 13000 is 13.0
  int runtime = 0;  // that this program was built against
  std::vector<CudaDevice> devices;
};
bool is_built_with_cuda();
// TRI-CUDA-002: built without CUDA, or no driver or device; says which.
StatusOr<CudaSurvey> survey_cuda();

}  // namespace trireme

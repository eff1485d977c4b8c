// Stands in for the CUDA backend in a build without it.
#include "kernels/cuda_backend.h"

namespace trireme {

StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions&) {
  return invalid("TRI-CUDA-002",
                 "this build has no CUDA; configure with -DTRIREME_CUDA=ON, or use --backend cpu");
}

int num_cuda_devices() { return 0; }

}  // namespace trireme

// Stands in for the CUDA backend in a build without it.
#include "kernels/cuda_backend.h"

namespace trireme {

namespace {

Status no_cuda() {
  return invalid("TRI-CUDA-002",
                 "this build has no CUDA; configure with -DTRIREME_CUDA=ON, or use --backend cpu");
}

}  // namespace

StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions&) {
  return no_cuda();
}

int num_cuda_devices() { return 0; }

bool is_built_with_cuda() { return false; }

StatusOr<CudaDeviceQuery> query_cuda_devices() { return no_cuda(); }

}  // namespace trireme

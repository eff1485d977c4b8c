// Replaces cublaslt.cc in programs without cuBLASLt.
#include "base/check.h"
#include "kernels/cuda/cublaslt.h"

namespace trireme::cuda {

std::unique_ptr<CublasLt> CublasLt::make(bool, const std::string&) { return nullptr; }

CublasLt::~CublasLt() = default;

void CublasLt::choose(CudaQueue&, std::span<const MatmulCall>, const Enqueue&, const Enqueue&) {
  CHECK_THAT(false, "built without cuBLASLt");
}

bool CublasLt::run(CudaQueue&, const MatmulCall&) const { return false; }

}  // namespace trireme::cuda

// ReservedMemory over the driver's virtual memory management. A captured graph holds addresses
// only, so the same addresses are valid before and after memory is mapped to them.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "kernels/reserved_memory.h"

namespace trireme::cuda {

// The driver's functions, looked up at run time: a program that may run on a GPU, but need not,
// starts without libcuda.
struct AddressDriver {
  decltype(&cuMemGetAllocationGranularity) granularity = nullptr;
  decltype(&cuMemAddressReserve) reserve = nullptr;
  decltype(&cuMemAddressFree) free = nullptr;
  decltype(&cuMemCreate) create = nullptr;
  decltype(&cuMemRelease) release = nullptr;
  decltype(&cuMemMap) map = nullptr;
  decltype(&cuMemUnmap) unmap = nullptr;
  decltype(&cuMemSetAccess) set_access = nullptr;
};

class CudaReservedMemory final : public ReservedMemory {
 public:
  // Reserves `bytes` addresses of the current device; `what` names them in messages. `clears`, a
  // stream that outlives this, clears the memory behind them. TRI-CUDA-019: the driver cannot.
  static StatusOr<std::unique_ptr<ReservedMemory>> make(int device,
                                                        cudaStream_t clears,
                                                        int64_t bytes,
                                                        const std::string& what);
  ~CudaReservedMemory() override;

  std::byte* data() const override;
  int64_t unit() const override { return unit_; }
  Status fill(int64_t bytes) override;

 private:
  CudaReservedMemory(int device,
                     cudaStream_t clears,
                     const AddressDriver& driver,
                     std::string what);
  CUresult open(int64_t bytes);
  CUresult take(size_t bytes);
  int64_t whole_units(int64_t bytes) const { return (bytes + unit_ - 1) / unit_ * unit_; }

  const cudaStream_t clears_;
  const AddressDriver driver_;
  const std::string what_;
  CUmemAllocationProp properties_ = {};
  int64_t unit_ = 1;
  CUdeviceptr address_ = 0;
  size_t reserved_bytes_ = 0;
  size_t mapped_bytes_ = 0;
};

}  // namespace trireme::cuda

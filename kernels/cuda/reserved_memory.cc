#include "kernels/cuda/reserved_memory.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kernels/cuda/backend.h"

namespace trireme::cuda {
namespace {

template <class Function>
bool find(const char* symbol, Function& function) {
  constexpr unsigned kVersion = 12000;
  cudaDriverEntryPointQueryResult found;
  const cudaError_t error = cudaGetDriverEntryPointByVersion(
      symbol, reinterpret_cast<void**>(&function), kVersion, 0, &found);
  return error == cudaSuccess && found == cudaDriverEntryPointSuccess;
}

bool find_driver(AddressDriver& driver) {
  return find("cuMemGetAllocationGranularity", driver.granularity) &&
         find("cuMemAddressReserve", driver.reserve) && find("cuMemAddressFree", driver.free) &&
         find("cuMemCreate", driver.create) && find("cuMemRelease", driver.release) &&
         find("cuMemMap", driver.map) && find("cuMemUnmap", driver.unmap) &&
         find("cuMemSetAccess", driver.set_access);
}

Status refused(const std::string& what, const std::string& why) {
  return unavailable("TRI-CUDA-019",
                     "{} cannot reserve addresses on its device: {}; use a driver for CUDA 13 or "
                     "later and a device with virtual memory management (see nvidia-smi -q)",
                     what,
                     why);
}

}  // namespace

StatusOr<std::unique_ptr<ReservedMemory>> CudaReservedMemory::make(int device,
                                                                   cudaStream_t clears,
                                                                   int64_t bytes,
                                                                   const std::string& what) {
  AddressDriver driver;
  if (!find_driver(driver)) return refused(what, "the driver lacks its functions");
  std::unique_ptr<CudaReservedMemory> memory(new CudaReservedMemory(device, clears, driver, what));
  const CUresult result = memory->open(bytes);
  if (result != CUDA_SUCCESS) return refused(what, format_text("driver error {}", result));
  return StatusOr<std::unique_ptr<ReservedMemory>>(std::move(memory));
}

CudaReservedMemory::CudaReservedMemory(int device,
                                       cudaStream_t clears,
                                       const AddressDriver& driver,
                                       std::string what)
    : clears_(clears), driver_(driver), what_(std::move(what)) {
  properties_.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties_.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties_.location.id = device;
}

CudaReservedMemory::~CudaReservedMemory() {
  if (mapped_bytes_ > 0) driver_.unmap(address_, mapped_bytes_);
  if (reserved_bytes_ > 0) driver_.free(address_, reserved_bytes_);
}

std::byte* CudaReservedMemory::data() const {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the driver gives addresses as numbers
  return reinterpret_cast<std::byte*>(address_);
}

CUresult CudaReservedMemory::open(int64_t bytes) {
  size_t unit = 0;
  CUresult result = driver_.granularity(&unit, &properties_, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  if (result != CUDA_SUCCESS) return result;
  unit_ = static_cast<int64_t>(unit);
  const auto whole = static_cast<size_t>(whole_units(std::max<int64_t>(bytes, 1)));
  result = driver_.reserve(&address_, whole, 0, 0, 0);
  if (result == CUDA_SUCCESS) reserved_bytes_ = whole;
  return result;
}

Status CudaReservedMemory::fill(int64_t bytes) {
  const auto whole = static_cast<size_t>(whole_units(bytes));
  CHECK(bytes > 0 && mapped_bytes_ == 0 && whole <= reserved_bytes_);
  const CUresult result = take(whole);
  if (result != CUDA_SUCCESS)
    return no_device_memory(bytes, what_, format_text("driver error {}", result));
  cudaError_t error = cudaMemsetAsync(data(), 0, whole, clears_);
  if (error == cudaSuccess) error = cudaStreamSynchronize(clears_);
  if (error != cudaSuccess) return no_device_memory(bytes, what_, cudaGetErrorString(error));
  return ok_status();
}

CUresult CudaReservedMemory::take(size_t bytes) {
  CUmemGenericAllocationHandle handle = 0;
  CUresult result = driver_.create(&handle, bytes, &properties_, 0);
  if (result != CUDA_SUCCESS) return result;
  result = driver_.map(address_, bytes, 0, handle, 0);
  driver_.release(handle);  // the mapping keeps the memory alive
  if (result != CUDA_SUCCESS) return result;
  mapped_bytes_ = bytes;
  CUmemAccessDesc access = {};
  access.location = properties_.location;
  access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  return driver_.set_access(address_, bytes, &access, 1);
}

}  // namespace trireme::cuda

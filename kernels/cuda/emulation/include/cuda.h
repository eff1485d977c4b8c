// The part of CUDA's driver API that this project uses, emulated: stream memory operations.
#pragma once

#include <cstdint>

struct CUstream_st;
using CUstream = CUstream_st*;
using CUdeviceptr = unsigned long long;
using cuuint32_t = uint32_t;

enum CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_UNKNOWN = 999,
};
enum CUstreamWriteValue_flags {
  CU_STREAM_WRITE_VALUE_DEFAULT = 0,
  CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER = 1,
};
enum CUstreamWaitValue_flags {
  CU_STREAM_WAIT_VALUE_GEQ = 0,  // int32(*address - value) >= 0
  CU_STREAM_WAIT_VALUE_EQ = 1,
  CU_STREAM_WAIT_VALUE_AND = 2,
  CU_STREAM_WAIT_VALUE_NOR = 3,
};

extern "C" {
CUresult cuStreamWriteValue32(CUstream stream,
                              CUdeviceptr address,
                              cuuint32_t value,
                              unsigned flags);
CUresult cuStreamWaitValue32(CUstream stream,
                             CUdeviceptr address,
                             cuuint32_t value,
                             unsigned flags);
}

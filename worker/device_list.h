// The output of `trireme-worker --list-devices`: backends, driver, GPUs and NCCL of this build and
// machine, for the command line (docs/formats.md).
#pragma once

#include <string>

#include "base/status.h"
#include "kernels/cuda_backend.h"
#include "worker/comm/nccl_comm.h"

namespace trireme {

// One JSON object on one line; a survey that failed appears as its error.
std::string device_list(const StatusOr<CudaDeviceQuery>& survey, const StatusOr<NcclLibrary>& nccl);

}  // namespace trireme

// What `trireme-worker --list-devices` says of this build and this machine, for the command line
// (docs/formats.md).
#pragma once

#include <string>

#include "base/status.h"
#include "kernels/cuda_backend.h"
#include "worker/comm/nccl_comm.h"

namespace trireme {

// One JSON object in one line.
std::string device_list(const StatusOr<CudaSurvey>& survey, const StatusOr<NcclLibrary>& nccl);

}  // namespace trireme

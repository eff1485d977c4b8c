// Stub of nccl_comm.cc for a build without NCCL: returns errors.
#include "worker/comm/nccl_comm.h"

namespace trireme {

void set_nccl_environment(const NcclSettings&) {}

StatusOr<NcclLibrary> nccl_library() {
  return invalid("TRI-CUDA-010", "this program is built without NCCL");
}

int64_t nccl_scratch_bytes(const NcclCommOptions&, int) { return 0; }

StatusOr<std::unique_ptr<Comm>> make_nccl_comm(const NcclCommOptions& options, Buffer, Comm&) {
  return invalid("TRI-CUDA-010",
                 "{} needs NCCL, and this program is built without it: ranks on several hosts, or "
                 "on devices that cannot access one another's memory, need a build with NCCL "
                 "(-DTRIREME_CUDA=ON where nccl.h is installed)",
                 options.name);
}

}  // namespace trireme

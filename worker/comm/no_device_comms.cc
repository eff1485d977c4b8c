// Stub of device_comms.cc for a build without CUDA: returns an error.
#include "worker/comm/device_comms.h"

namespace trireme {

namespace {

Status not_built() {
  return invalid("TRI-CUDA-011",
                 "ranks cannot share device memory: this program is built without CUDA; build it "
                 "with -DTRIREME_CUDA=ON, or use --backend cpu");
}

}  // namespace

StatusOr<DeviceShare> find_device_share(GroupComms&) { return not_built(); }

Status use_device_comms(GroupComms&, Backend&, const DeviceShare&, const DeviceCommOptions&) {
  return not_built();
}

}  // namespace trireme

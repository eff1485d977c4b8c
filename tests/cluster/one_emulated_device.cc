// Linked into a worker over the emulation, which then shows one device per process.
#include "kernels/emulation/control.h"

namespace trireme::emulation {
namespace {

const bool has_one_device = [] {
  Settings one = settings();
  one.num_devices = 1;
  set_settings(one);
  return true;
}();

}  // namespace
}  // namespace trireme::emulation

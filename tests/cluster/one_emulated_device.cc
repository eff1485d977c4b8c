// Linked into a worker over emulated devices: it sees one, as emulated devices are of one process.
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

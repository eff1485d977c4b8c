#include "worker/comm/host_collectives.h"

#include <algorithm>

namespace trireme {

Status share_with_all(Comm& control, std::span<const std::byte> own, std::span<std::byte> all) {
  Queue queue;
  control.all_gather(queue, own, all);
  return control.status();
}

Status share_from_first(Comm& control, std::span<std::byte> bytes) {
  Queue queue;
  control.broadcast(queue, bytes, 0);
  return control.status();
}

Status agree(Comm& control, const Status& own, const std::vector<std::string>& peers) {
  const uint8_t is_ok = own.ok();
  ASSIGN_OR_RETURN(const std::vector<uint8_t> all, gather_values(control, is_ok));
  RETURN_IF_ERROR(own);
  const auto first = std::ranges::find(all, 0) - all.begin();
  if (first == static_cast<int64_t>(all.size())) return ok_status();
  return unavailable("TRI-CUDA-016",
                     "{} could not set up its communicators over device memory; see its own line",
                     peers[first]);
}

}  // namespace trireme

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

Status meet_all(Comm& control, TimeUs limit_us) {
  control.set_deadline(SteadyClock().now_us() + limit_us);
  return gather_values(control, std::byte{}).status();
}

StatusOr<std::vector<std::string>> gather_texts(Comm& control, const std::string& own) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> sizes,
                   gather_values(control, static_cast<int64_t>(own.size())));
  const auto width = static_cast<size_t>(*std::ranges::max_element(sizes));
  std::string padded = own;
  padded.resize(width);
  std::string all(width * sizes.size(), '\0');
  RETURN_IF_ERROR(share_with_all(
      control, std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(all))));
  std::vector<std::string> texts;
  for (size_t rank = 0; rank < sizes.size(); ++rank) {
    texts.push_back(all.substr(rank * width, static_cast<size_t>(sizes[rank])));
  }
  return texts;
}

Status agree(Comm& control, const Status& own, const std::vector<std::string>& peers) {
  const uint8_t is_ok = own.ok();
  ASSIGN_OR_RETURN(const std::vector<uint8_t> all, gather_values(control, is_ok));
  RETURN_IF_ERROR(own);
  const auto first = std::ranges::find(all, 0) - all.begin();
  if (first == static_cast<int64_t>(all.size())) return ok_status();
  return unavailable("TRI-CUDA-016",
                     "{} could not set up its communicators over device memory; see its error line",
                     peers[first]);
}

}  // namespace trireme

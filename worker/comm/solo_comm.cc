#include "worker/comm/solo_comm.h"

#include <cstring>

#include "base/check.h"

namespace trireme {

void SoloComm::all_gather(Queue&, std::span<const std::byte> local, std::span<std::byte> all) {
  CHECK(local.size() == all.size());
  if (!local.empty()) std::memcpy(all.data(), local.data(), local.size());
}

void SoloComm::all_to_all(Queue&,
                          std::span<const std::byte> send,
                          std::span<const int64_t> send_offsets,
                          std::span<std::byte> receive,
                          std::span<const int64_t> receive_offsets) {
  const int64_t bytes = send_offsets[1] - send_offsets[0];
  CHECK(bytes == receive_offsets[1] - receive_offsets[0]);
  if (bytes == 0) return;
  std::memcpy(receive.data() + receive_offsets[0], send.data() + send_offsets[0], bytes);
}

Ticket SoloComm::send(Queue&, std::span<const std::byte>, int, int) {
  CHECK_THAT(false, "send in a communicator of one rank");
}

Ticket SoloComm::receive(Queue&, std::span<std::byte>, int, int) {
  CHECK_THAT(false, "receive in a communicator of one rank");
}

}  // namespace trireme

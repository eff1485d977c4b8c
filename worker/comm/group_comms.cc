#include "worker/comm/group_comms.h"

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "worker/comm/solo_comm.h"

namespace trireme {

void exchange_first_messages(GroupComms& comms, Queue& queue, std::span<std::byte> memory) {
  constexpr int64_t kPieceBytes = 16;
  Comm& tensor = *comms.tensor;
  std::vector<int64_t> offsets;
  for (int rank = 0; rank <= tensor.size(); ++rank) offsets.push_back(rank * kPieceBytes);
  const auto bytes = static_cast<size_t>(offsets.back());
  CHECK(memory.size() >= 2 * bytes);
  if (tensor.size() > 1) {
    tensor.all_to_all(queue, memory.first(bytes), offsets, memory.subspan(bytes, bytes), offsets);
  }
  Comm& tokens = *comms.tokens;
  const int last = tokens.size() - 1;
  const std::span<std::byte> id = memory.first(sizeof(int32_t));
  if (last > 0 && tokens.rank() == last) tokens.complete(tokens.send(queue, id, 0, 0));
  if (last > 0 && tokens.rank() == 0) tokens.complete(tokens.receive(queue, id, last, 0));
}

GroupComms solo_group() {
  GroupComms comms;
  comms.group = std::make_unique<SoloComm>();
  comms.tensor = std::make_unique<SoloComm>();
  comms.pipeline = std::make_unique<SoloComm>();
  comms.tokens = std::make_unique<SoloComm>();
  return comms;
}

}  // namespace trireme

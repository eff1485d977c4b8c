#include "coordinator/journal/reservations.h"

#include <utility>

#include "base/check.h"

namespace trireme::journal {

void Reservations::add(const RequestId& id, const WorstCase& bytes, bool runs) {
  const Room room{runs ? bytes.all() : bytes.accepted, runs ? 0 : bytes.running};
  const bool is_new = requests_.emplace(id, room).second;
  CHECK_THAT(is_new, to_string(id).c_str());
  bytes_ += room.bytes;
}

int64_t Reservations::lacks(const RequestId& id) const {
  const auto found = requests_.find(id);
  return found == requests_.end() ? 0 : found->second.lacks;
}

void Reservations::complete(const RequestId& id) {
  Room& room = requests_.at(id);
  bytes_ += room.lacks;
  room.bytes += std::exchange(room.lacks, 0);
}

bool Reservations::release(const RequestId& id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return false;
  bytes_ -= found->second.bytes;
  requests_.erase(found);
  return true;
}

}  // namespace trireme::journal

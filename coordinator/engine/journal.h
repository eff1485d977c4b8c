// What was promised and what was said. The Engine holds back what follows a record until the
// journal says that the record would survive. Used by the loop; a journal with a disk behind it has
// a thread of its own and wakes the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace trireme {

class Journal {
 public:
  virtual ~Journal() = default;
  // Sequences ascend. Never waits.
  virtual void append(uint64_t sequence, std::string record) = 0;
  // The highest sequence that has become durable since the last call.
  virtual std::optional<uint64_t> take_durable() = 0;
};

// Remembers nothing and so answers at once: nothing survives the coordinator.
class NullJournal final : public Journal {
 public:
  void append(uint64_t sequence, std::string) override { durable_ = sequence; }
  std::optional<uint64_t> take_durable() override { return std::exchange(durable_, std::nullopt); }

 private:
  std::optional<uint64_t> durable_;
};

}  // namespace trireme

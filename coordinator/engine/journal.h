// Log of promises that survives a restart. The Engine holds the effects that follow a record until
// the record is durable. Called by the loop; an implementation that writes to a disk has its own
// thread and wakes the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace trireme {

class Journal {
 public:
  virtual ~Journal() = default;
  // `sequence` ascends from call to call. Never blocks.
  virtual void append(uint64_t sequence, std::string record) = 0;
  // The highest sequence that has become durable since the last call.
  virtual std::optional<uint64_t> take_durable() = 0;
};

// Stores nothing: every record counts as durable at once, and nothing survives a restart.
class NullJournal final : public Journal {
 public:
  void append(uint64_t sequence, std::string) override { durable_ = sequence; }
  std::optional<uint64_t> take_durable() override { return std::exchange(durable_, std::nullopt); }

 private:
  std::optional<uint64_t> durable_;
};

}  // namespace trireme

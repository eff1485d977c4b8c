// Effects that promise something to a client (Accept, Tokens, Finish), held until the journal has
// reported the record before them durable. Part of the Engine; its thread only.
// Invariant: effects leave in the order in which they were promised.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "coordinator/engine/events.h"

namespace trireme {

class Promises {
 public:
  void add(Effect effect) { open_.push_back(std::move(effect)); }

  // At the end of an event: one record for all that it promised.
  void journal(std::vector<Effect>& effects) {
    if (open_.empty()) return;
    effects.push_back(effect::Append{++sequence_, {}});
    held_.emplace_back(sequence_, std::move(open_));
    open_.clear();
  }

  // Records up to `sequence` are durable.
  void release(uint64_t sequence, std::vector<Effect>& effects) {
    auto end = held_.begin();
    for (; end != held_.end() && end->first <= sequence; ++end) {
      for (Effect& effect : end->second) effects.push_back(std::move(effect));
    }
    held_.erase(held_.begin(), end);
  }

 private:
  uint64_t sequence_ = 0;     // of the last record
  std::vector<Effect> open_;  // promised by the event being handled
  std::vector<std::pair<uint64_t, std::vector<Effect>>> held_;  // by record, the oldest first
};

}  // namespace trireme

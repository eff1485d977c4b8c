// Chrome trace of the plans of every group: one span from the sending of a plan to its result.
// Several plans are in flight at once, so each group has kLines rows. Belongs to the loop's thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/trace.h"
#include "coordinator/engine/events.h"

namespace trireme {

class StepTrace {
 public:
  StepTrace() : trace_("coordinator", 0) {}

  void on_plan(const effect::SendPlan& effect, TimeUs now_us) {
    sent_[{effect.group, effect.plan.step}] = now_us;
  }

  // A result closes the span of its plan; the loss of a group drops its open spans.
  void on_event(const Event& event, TimeUs now_us) {
    if (const auto* done = std::get_if<event::StepDone>(&event)) {
      const auto found = sent_.find({done->group, done->result.step});
      if (found == sent_.end()) return;
      const int line = static_cast<int>(done->result.step % kLines);
      trace_.span("plan", done->group * kLines + line, found->second, now_us, done->result.step);
      sent_.erase(found);
    } else if (const auto* lost = std::get_if<event::GroupLost>(&event)) {
      std::erase_if(sent_, [&](const auto& entry) { return entry.first.first == lost->group; });
    }
  }

  // Writes the events, one per line; join_traces() merges them with those of the ranks.
  Status write(const std::string& path) const { return trace_.write_lines(path); }

 private:
  static constexpr int kLines = 8;  // rows per group

  Trace trace_;
  std::map<std::pair<GroupId, int64_t>, TimeUs> sent_;
};

}  // namespace trireme

// The plans of every group on a timeline: from the moment a plan is sent to its result. Several are
// in flight at once, so a group has a few lines. Belongs to the loop's thread.
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

  // A result closes its plan's span; a loss forgets the group's.
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

  // The events alone, to be joined with the ranks' by join_traces().
  Status write(const std::string& path) const { return trace_.write_lines(path); }

 private:
  static constexpr int kLines = 8;  // of a group

  Trace trace_;
  std::map<std::pair<GroupId, int64_t>, TimeUs> sent_;
};

}  // namespace trireme

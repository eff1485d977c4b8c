// Decides when a coordinator that has ended starts again, and when one that runs counts as silent.
// Pure state machine over times given by the caller.
#pragma once

#include <optional>

#include "base/clock.h"

namespace trireme {

// False after bad input, which a new start would meet again, and after a drain, which ends the
// cluster.
bool starts_again(int exit_status, bool has_drained);

class CoordinatorSupervisor {
 public:
  // It sends a line every 5 s. Longer than any stop of a machine that goes on by itself.
  static constexpr TimeUs kSilentUs = 45'000'000;

  // Five lives in a row are the last ones, unless one lasts a minute: it begins the count anew.
  void limit_losses() { losses_left_ = kMaxLosses; }

  void on_start(TimeUs now_us);
  void on_line(TimeUs now_us) { heard_us_ = now_us; }  // any event line
  void on_doors() { opened_ = true; }
  void on_group_ready() { worked_ = true; }
  // Returns the delay until the next start: 0 after a life that opened its doors and lasted 5 s,
  // and after a shorter one in which a group was ready, unless the life before was short as well;
  // else 1 s, which doubles up to 60 s until there is such a life.
  TimeUs on_end(TimeUs now_us);

  // After an end, before on_end(): whether there is another life (limit_losses()).
  bool may_start_again(TimeUs now_us);

  // It runs and has sent nothing for kSilentUs, since its start or its last line.
  bool is_silent(TimeUs now_us) const { return runs_ && now_us - heard_us_ >= kSilentUs; }
  bool is_due(TimeUs now_us) const { return !runs_ && now_us >= due_us_; }
  std::optional<TimeUs> next_start_us() const;  // nothing while it runs

  // Moves all times by a gap in which the caller stood still and could not hear.
  void forgive(TimeUs gap_us);

 private:
  static constexpr int kMaxLosses = 5;

  bool runs_ = false;
  bool opened_ = false;
  bool worked_ = false;
  TimeUs started_us_ = 0;
  TimeUs heard_us_ = 0;
  TimeUs due_us_ = 0;
  TimeUs delay_us_ = 0;             // of the last start
  bool was_short_ = false;          // the life before the present one
  std::optional<int> losses_left_;  // of short lives; nothing: any number
};

}  // namespace trireme

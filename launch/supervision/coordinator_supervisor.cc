#include "launch/supervision/coordinator_supervisor.h"

#include <algorithm>
#include <utility>

#include "base/exit_status.h"
#include "launch/supervision/restart_delays.h"

namespace trireme {

namespace {

constexpr TimeUs kProvenLifeUs = 5'000'000;
constexpr TimeUs kLongLifeUs = 60'000'000;

}  // namespace

bool starts_again(int exit_status, bool has_drained) {
  return exit_status != kBadInput && !has_drained;
}

void CoordinatorSupervisor::on_start(TimeUs now_us) {
  runs_ = true;
  opened_ = false;
  worked_ = false;
  started_us_ = now_us;
  heard_us_ = now_us;
}

TimeUs CoordinatorSupervisor::on_end(TimeUs now_us) {
  const bool is_short = !opened_ || now_us - started_us_ < kProvenLifeUs;
  const bool at_once = !is_short || (worked_ && !std::exchange(was_short_, true));
  if (!is_short) was_short_ = false;
  delay_us_ = at_once ? 0 : std::clamp(2 * delay_us_, kFirstRestartDelayUs, kLongestRestartDelayUs);
  runs_ = false;
  due_us_ = now_us + delay_us_;
  return delay_us_;
}

bool CoordinatorSupervisor::may_start_again(TimeUs now_us) {
  if (!losses_left_) return true;
  if (now_us - started_us_ >= kLongLifeUs) losses_left_ = kMaxLosses;
  return --*losses_left_ > 0;
}

std::optional<TimeUs> CoordinatorSupervisor::next_start_us() const {
  return runs_ ? std::nullopt : std::optional<TimeUs>(due_us_);
}

void CoordinatorSupervisor::forgive(TimeUs gap_us) {
  started_us_ += gap_us;
  heard_us_ += gap_us;
}

}  // namespace trireme

#include "worker/comm/time_guard.h"

#include <utility>

#include "base/log.h"
#include "worker/comm/exit_rank.h"

namespace trireme {

TimeGuard::TimeGuard(std::string what, std::chrono::milliseconds limit)
    : what_(std::move(what)), limit_(limit), thread_([this] { run(); }) {}

TimeGuard::~TimeGuard() {
  {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TimeGuard::run() {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, limit_, [this] { return is_done_; })) return;
  const Status cause =
      timed_out("TRI-GRP-003",
                "{} was not over within {:g} s: a peer died or cannot be reached; look at the "
                "other ranks' last lines and at the network between the hosts",
                what_,
                static_cast<double>(limit_.count()) / 1000);
  log_event(LogLevel::kError, "end", {{"cause", cause}});
  exit_rank(cause);
}

}  // namespace trireme

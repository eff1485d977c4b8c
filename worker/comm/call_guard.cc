#include "worker/comm/call_guard.h"

#include <utility>

#include "base/log.h"
#include "worker/comm/exit_rank.h"

namespace trireme {

CallGuard::CallGuard(std::chrono::milliseconds limit, Late late)
    : limit_(limit), late_(std::move(late)), thread_([this] { run(); }) {}

CallGuard::~CallGuard() {
  {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// The thread looks again by itself: waking it for every call would cost more than the call.
void CallGuard::begin(const char* operation) {
  const std::lock_guard lock(mutex_);
  operation_ = operation;
  begin_ = Clock::now();
}

void CallGuard::run() {
  constexpr std::chrono::milliseconds kLook{100};
  std::unique_lock lock(mutex_);
  while (!is_done_) {
    changed_.wait_for(lock, kLook);
    if (operation_ == nullptr || Clock::now() - begin_ < limit_) continue;
    const Status cause = late_(operation_);
    log_event(LogLevel::kError, "end", {{"cause", cause}});
    exit_rank(cause);
  }
}

}  // namespace trireme

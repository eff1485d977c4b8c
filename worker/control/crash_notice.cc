#include "worker/control/crash_notice.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>

#include "base/check.h"

namespace trireme {
namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr int kReportMs = 2'000;
constexpr int kMaxRanks = 64;  // of one process; further ones see the signal at their next tick

// Everything that the handler reads.
struct CrashState {
  std::once_flag installed;
  std::array<struct sigaction, kSignals.size()> before;
  std::array<std::atomic<int>, kMaxRanks> event_fds;  // 0: none
  std::array<std::atomic<int>, kMaxRanks> threads;    // of the rank at that place
  std::atomic<int> crashed_thread{0};
  std::atomic<int> signal{0};
  std::atomic<bool> report_sent{false};
};
CrashState crash;

static_assert(std::atomic<int>::is_always_lock_free);

void on_fatal_signal(int number) {
  int none = 0;
  if (crash.crashed_thread.compare_exchange_strong(none, ::gettid())) {
    crash.signal = number;
    const uint64_t one = 1;
    for (const auto& fd : crash.event_fds) {
      if (fd > 0) [[maybe_unused]]
        const ssize_t written = ::write(fd, &one, sizeof one);
    }
  }
  for (int ms = 0; ms < kReportMs && !crash.report_sent; ++ms) ::poll(nullptr, 0, 1);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == number) ::sigaction(number, &crash.before[i], nullptr);
  }
  ::raise(number);  // it is blocked until this handler has returned
}

void install() {
  struct sigaction action = {};
  action.sa_handler = on_fatal_signal;
  ::sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    CHECK(::sigaction(kSignals[i], &action, &crash.before[i]) == 0);
  }
}

int register_fd(int event_fd) {
  for (int place = 0; place < kMaxRanks; ++place) {
    int none = 0;
    if (!crash.event_fds[place].compare_exchange_strong(none, event_fd)) continue;
    crash.threads[place] = ::gettid();
    return place;
  }
  return -1;
}

}  // namespace

CrashNotice::CrashNotice(int event_fd) : place_(register_fd(event_fd)) {
  std::call_once(crash.installed, install);
}

CrashNotice::~CrashNotice() {
  if (place_ >= 0) crash.event_fds[place_] = 0;
}

bool CrashNotice::is_of_other_rank() const {
  for (int place = 0; place < kMaxRanks; ++place) {
    const bool is_its = crash.event_fds[place] > 0 && crash.threads[place] == crash.crashed_thread;
    if (is_its) return place != place_;
  }
  return false;
}

int CrashNotice::signal() { return crash.signal; }
void CrashNotice::report_sent() { crash.report_sent = true; }

}  // namespace trireme

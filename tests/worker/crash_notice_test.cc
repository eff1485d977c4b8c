// The report of a fatal signal, in child processes that end by it.
#include "worker/control/crash_notice.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/sanitized.h"

namespace trireme {
namespace crash_notice_test {

// A process whose control thread waits for the signal and prints it.
[[noreturn]] void crash(int number, bool reports) {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  const CrashNotice notice(fd);
  std::thread control([&] {
    pollfd event{fd, POLLIN, 0};
    ::poll(&event, 1, 10'000);
    std::fprintf(stderr, "reported %d\n", CrashNotice::signal());
    if (reports) CrashNotice::report_sent();
    while (true) ::pause();
  });
  ::raise(number);
  control.join();
  std::exit(0);
}

TEST(CrashNoticeDeathTest, TheSignalIsReportedAndThenEndsTheProcess) {
  for (const int number : {SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGSEGV}) {
    if (is_sanitized() && number != SIGABRT) continue;  // the sanitizer's handler exits instead
    EXPECT_EXIT(
        crash(number, true), testing::KilledBySignal(number), "reported " + std::to_string(number));
  }
}

TEST(CrashNoticeDeathTest, AReportThatNeverComesIsNotAwaited) {
  EXPECT_EXIT(crash(SIGABRT, false), testing::KilledBySignal(SIGABRT), "reported");
}

}  // namespace crash_notice_test
}  // namespace trireme

#include "base/process_limits.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace trireme {
namespace process_limits_test {

// Sets the soft limit of open files for one test.
class OpenFiles : public testing::Test {
 protected:
  OpenFiles() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~OpenFiles() override { ::setrlimit(RLIMIT_NOFILE, &before_); }
  void set_soft(rlim_t soft) {
    const rlimit limits{soft, before_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limits), 0);
  }

  rlimit before_{};
};

TEST_F(OpenFiles, ASoftLimitThatIsTooLowIsRaisedToWhatIsNeeded) {
  set_soft(40);
  EXPECT_EQ(open_file_limit(), 40);
  EXPECT_TRUE(require_open_files(64, "the test").ok());
  EXPECT_EQ(open_file_limit(), 64);
}

TEST_F(OpenFiles, AHigherLimitIsKept) {
  set_soft(100);
  EXPECT_TRUE(require_open_files(64, "the test").ok());
  EXPECT_EQ(open_file_limit(), 100);
}

TEST_F(OpenFiles, MoreThanTheHardLimitIsRefusedWithBothNumbers) {
  const auto hard = static_cast<int64_t>(std::min<rlim_t>(before_.rlim_max, 1 << 20));
  const Status status = require_open_files(hard + 1, "the test");
  EXPECT_EQ(message_of(status),
            format_text("TRI-UP-041: the limit of open files is {}, the test needs at least {}; "
                        "raise it (ulimit -n {})",
                        hard,
                        hard + 1,
                        hard + 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenFiles, OpenDescriptorsAreCounted) {
  const int64_t before = count_open_files();
  const int fd = ::open("/dev/null", O_RDONLY);
  EXPECT_EQ(count_open_files(), before + 1);
  ::close(fd);
  EXPECT_EQ(count_open_files(), before);
}

TEST(Threads, AsManyAsAreNeededAreStartedAndEnded) {
  EXPECT_TRUE(require_threads(20, "the test").ok());
  EXPECT_TRUE(require_threads(0, "the test").ok());
  EXPECT_TRUE(require_threads_of_all(20, "the test").ok());
}

}  // namespace process_limits_test
}  // namespace trireme

#include "coordinator/journal/state_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/journal/journal_folder.h"

namespace trireme::journal {
namespace state_lock_test {

TEST(StateLock, ASecondOneIsRefusedWithFolderAndProcess) {
  const JournalFolder folder;
  const auto lock = StateLock::take(folder.path(), 0);
  ASSERT_TRUE(lock.ok()) << lock.status();
  const Status refused = StateLock::take(folder.path(), 0).status();
  EXPECT_EQ(error_id(refused), "TRI-JRN-003");
  EXPECT_NE(message_of(refused).find(folder.path()), std::string::npos);
  EXPECT_NE(message_of(refused).find(std::to_string(::getpid())), std::string::npos);
}

TEST(StateLock, ItEndsWithItsObject) {
  const JournalFolder folder;
  { ASSERT_TRUE(StateLock::take(folder.path(), 0).ok()); }
  EXPECT_TRUE(StateLock::take(folder.path(), 0).ok());
}

TEST(StateLock, ItWaitsForAProcessThatEnds) {
  const JournalFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = StateLock::take(folder.path(), 0);
    const bool told = lock.ok() && ::write(ready[1], "x", 1) == 1;
    ::usleep(100'000);
    ::_exit(told ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const Status refused = StateLock::take(folder.path(), 0).status();
  EXPECT_NE(message_of(refused).find("process " + std::to_string(child)), std::string::npos);
  const auto lock = StateLock::take(folder.path(), 10'000'000);
  EXPECT_TRUE(lock.ok()) << lock.status();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(StateLock, AFolderThatCannotBeWrittenIsNamed) {
  const Status status = StateLock::take("/nowhere/at/all", 0).status();
  EXPECT_EQ(error_id(status), "TRI-JRN-005");
  EXPECT_NE(message_of(status).find("/nowhere/at/all"), std::string::npos);
}

}  // namespace state_lock_test
}  // namespace trireme::journal

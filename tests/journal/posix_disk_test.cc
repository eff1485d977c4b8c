#include "coordinator/journal/posix_disk.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/journal/journal_folder.h"

namespace trireme::journal {
namespace posix_disk_test {

TEST(PosixDisk, FilesAreReservedWrittenReadAndRemoved) {
  const JournalFolder folder;
  const auto disk = *PosixDisk::open(folder.path());
  ASSERT_EQ(disk->reserve("a", 5000), ok_status());
  ASSERT_EQ(disk->sync_folder(), ok_status());
  ASSERT_EQ(disk->write("a", 10, "hello"), ok_status());
  ASSERT_EQ(disk->write("a", 4998, "beyond"), ok_status());
  ASSERT_EQ(disk->sync("a"), ok_status());
  EXPECT_EQ(*disk->read("a", 8, 9), std::string("\0\0hello\0\0", 9));
  EXPECT_EQ(*disk->read("a", 4998, 1 << 20), "beyond");
  EXPECT_EQ(*disk->read("a", 1 << 20, 5), "");
  ASSERT_EQ(disk->reserve("a", 100'000), ok_status());
  EXPECT_EQ(*disk->read("a", 10, 5), "hello");
  EXPECT_EQ(disk->read("a", 0, 1 << 20)->size(), 100'000u);
  ASSERT_EQ(disk->list()->size(), 1u);
  EXPECT_EQ((*disk->list())[0].name, "a");
  EXPECT_EQ((*disk->list())[0].bytes, 100'000u);

  struct stat info {};
  ASSERT_EQ(::stat((folder.path() + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_GE(info.st_blocks * 512, 100'000) << "the room is taken";

  ASSERT_EQ(disk->unlink("a"), ok_status());
  ASSERT_EQ(disk->unlink("a"), ok_status());
  EXPECT_TRUE(disk->list()->empty());
}

TEST(PosixDisk, ErrorsNameTheFile) {
  const JournalFolder folder;
  EXPECT_EQ(error_id(PosixDisk::open(folder.path() + "/none").status()), "TRI-JRN-005");
  const auto disk = *PosixDisk::open(folder.path());
  EXPECT_EQ(error_id(disk->read("none", 0, 1).status()), "TRI-JRN-005");
  const Status status = disk->write("none", 0, "x");
  EXPECT_EQ(error_id(status), "TRI-JRN-005");
  EXPECT_NE(message_of(status).find("/none"), std::string::npos);
  std::filesystem::create_symlink("/dev/null", folder.path() + "/link");
  EXPECT_EQ(error_id(disk->write("link", 0, "x")), "TRI-JRN-005");
}

TEST(PosixDisk, AFileWithoutRoomIsTakenBack) {
  const JournalFolder folder;
  const auto disk = *PosixDisk::open(folder.path());
  ASSERT_EQ(disk->reserve("old", 1000), ok_status());
  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{64 << 10, before.rlim_max};
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status fresh = disk->reserve("new", 1 << 20);
  const Status longer = disk->reserve("old", 1 << 20);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error_id(fresh), "TRI-JRN-004");
  EXPECT_EQ(error_id(longer), "TRI-JRN-004");
  const std::vector<DiskFile> files = *disk->list();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].bytes, 1000u);
}

}  // namespace posix_disk_test
}  // namespace trireme::journal

#include "coordinator/journal/file_journal.h"

#include <gtest/gtest.h>

#include <future>

#include "coordinator/journal/posix_disk.h"
#include "coordinator/journal/worst_case.h"
#include "tests/journal/fake_disk.h"
#include "tests/journal/journal_fixture.h"
#include "tests/journal/journal_folder.h"

namespace trireme::journal {
namespace file_journal_test {

// Notices of the journal's thread.
class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    ++rings_;
    rang_.notify_all();
  }
  // Until `done`, looked at after each ring; false after ten seconds.
  template <class Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex_);
    return rang_.wait_for(lock, std::chrono::seconds(10), done);
  }

 private:
  std::mutex mutex_;
  std::condition_variable rang_;
  int rings_ = 0;
};

FileJournalOptions options_of(Bell& bell, bool fsync = false) {
  FileJournalOptions options;
  options.log.journal_bytes = 64 << 20;
  options.log.fsync = fsync;
  options.wake = [&bell] { bell.ring(); };
  return options;
}

std::unique_ptr<FileJournal> open_in(const JournalFolder& folder, FileJournalOptions options) {
  auto disk = PosixDisk::open(folder.path());
  EXPECT_TRUE(disk.ok());
  auto journal = FileJournal::open(*std::move(disk), std::move(options));
  EXPECT_TRUE(journal.ok()) << journal.status();
  return *std::move(journal);
}

TEST(FileJournal, RecordsBecomeDurableAndComeBack) {
  for (const bool fsync : {false, true}) {
    const JournalFolder folder;
    Bell bell;
    RandomEngine engine(1);
    JournalId id;
    uint64_t sequence = 0;
    {
      const auto journal = open_in(folder, options_of(bell, fsync));
      EXPECT_EQ(journal->epoch(), 1u);
      id = journal->journal_id();
      EXPECT_FALSE(id == JournalId());
      for (int i = 0; i < 300; ++i) {
        Record record;
        if (i % 3 == 0) {
          record::Accepted accepted = engine.propose();
          ASSERT_EQ(journal->reserve(accepted.id, accepted.submit), JournalRoom::kReserved);
          record = engine.accept(std::move(accepted));
        } else {
          record = engine.step();
        }
        if (!record.empty()) journal->append(++sequence, std::move(record));
      }
      uint64_t durable = 0;
      EXPECT_TRUE(bell.wait([&] {
        durable = journal->take_durable().value_or(durable);
        return durable == sequence;
      }));
      EXPECT_FALSE(journal->is_failing());
    }
    const auto journal = open_in(folder, options_of(bell, fsync));
    EXPECT_EQ(journal->epoch(), 2u);
    EXPECT_TRUE(journal->journal_id() == id);
    EXPECT_TRUE(journal->damage().empty());
    EXPECT_EQ(describe(journal->take_restored()), describe(engine.reference().requests()));
  }
}

TEST(FileJournal, ItsEndWritesWhatWasAppended) {
  const JournalFolder folder;
  Bell bell;
  RandomEngine engine(2);
  {
    const auto journal = open_in(folder, options_of(bell));
    for (uint64_t i = 1; i <= 20; ++i) journal->append(i, engine.accept(engine.propose()));
  }
  const auto journal = open_in(folder, options_of(bell));
  EXPECT_EQ(describe(journal->take_restored()), describe(engine.reference().requests()));
}

// Blocks in write() until it is let go.
class SlowDisk final : public Disk {
 public:
  StatusOr<std::vector<DiskFile>> list() override { return disk_.list(); }
  StatusOr<std::string> read(const std::string& name, uint64_t offset, uint64_t bytes) override {
    return disk_.read(name, offset, bytes);
  }
  Status reserve(const std::string& name, uint64_t bytes) override {
    return disk_.reserve(name, bytes);
  }
  Status shorten(const std::string& name, uint64_t bytes) override {
    return disk_.shorten(name, bytes);
  }
  Status write(const std::string& name, uint64_t offset, std::string_view bytes) override {
    if (is_slow) released.get_future().wait();
    is_slow = false;
    return disk_.write(name, offset, bytes);
  }
  Status sync(const std::string& name) override { return disk_.sync(name); }
  Status sync_folder() override { return disk_.sync_folder(); }
  Status unlink(const std::string& name) override { return disk_.unlink(name); }

  std::atomic<bool> is_slow = false;
  std::promise<void> released;

 private:
  FakeDisk disk_;
};

TEST(FileJournal, AppendAndReserveDoNotWaitForASlowDisk) {
  Bell bell;
  auto owned = std::make_unique<SlowDisk>();
  SlowDisk& disk = *owned;
  const auto journal = *FileJournal::open(std::move(owned), options_of(bell));
  RandomEngine engine(3);
  disk.is_slow = true;
  for (uint64_t i = 1; i <= 100; ++i) {
    record::Accepted accepted = engine.propose();
    ASSERT_EQ(journal->reserve(accepted.id, accepted.submit), JournalRoom::kReserved);
    journal->append(i, engine.accept(std::move(accepted)));
  }
  EXPECT_EQ(journal->take_durable(), std::nullopt);
  EXPECT_GT(journal->undurable_bytes(), 0);
  disk.released.set_value();
  uint64_t durable = 0;
  EXPECT_TRUE(bell.wait([&] {
    durable = journal->take_durable().value_or(durable);
    return durable == 100;
  }));
}

TEST(FileJournal, AFullDiskAtTheStartIsToldAtOnce) {
  Bell bell;
  auto disk = std::make_unique<FakeDisk>();
  disk->capacity = 1000;
  EXPECT_EQ(error_id(FileJournal::open(std::move(disk), options_of(bell)).status()), "TRI-JRN-004");
}

}  // namespace file_journal_test
}  // namespace trireme::journal

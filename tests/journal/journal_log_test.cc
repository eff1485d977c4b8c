#include "coordinator/journal/journal_log.h"

#include <gtest/gtest.h>

#include "coordinator/journal/worst_case.h"
#include "tests/journal/journal_run.h"

namespace trireme::journal {
namespace journal_log_test {

LogOptions small_journal(bool fsync = false) {
  LogOptions options;
  options.journal_bytes = 512 << 10;
  options.segment_bytes = 16 << 10;
  options.fsync = fsync;
  return options;
}

// So large that no segment ends.
LogOptions large_journal(bool fsync = false) {
  LogOptions options;
  options.journal_bytes = 64 << 20;
  options.segment_bytes = 4 << 20;
  options.fsync = fsync;
  return options;
}

size_t num_segments(FakeDisk& disk) { return disk.list()->size(); }

TEST(JournalLog, ARestartGivesBackWhatWasAppended) {
  FakeDisk disk;
  JournalRun run(disk, 1, small_journal());
  ASSERT_TRUE(run.start());
  for (int i = 0; i < 50; ++i) run.event();
  run.operate_all();
  EXPECT_EQ(run.num_durable(), run.num_appended());
  EXPECT_EQ(run.log().undurable_bytes(), 0);
  const std::string expected = describe(run.engine().reference().requests());
  for (int life = 2; life < 5; ++life) {
    ASSERT_TRUE(run.start());
    EXPECT_EQ(run.log().state().epoch(), static_cast<uint64_t>(life));
    EXPECT_EQ(describe(run.found().requests), expected);
    EXPECT_TRUE(run.found().damage.empty());
    EXPECT_EQ(run.found().cut_bytes, 0u);
  }
}

TEST(JournalLog, ALongRunKeepsFewSegmentsAndAllRequests) {
  FakeDisk disk;
  JournalRun run(disk, 2, small_journal());
  ASSERT_TRUE(run.start());
  uint64_t most = 0;
  for (int i = 0; i < 4000; ++i) {
    run.event();
    run.operate_all();
    most = std::max<uint64_t>(most, num_segments(disk));
    ASSERT_LE(run.log().disk_bytes(), 512 << 10);
  }
  EXPECT_EQ(run.num_durable(), run.num_appended());
  EXPECT_LE(most, 12u);
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_GT(found->next_segment, 20u);
  EXPECT_TRUE(found->damage.empty());
  EXPECT_EQ(describe(found->requests), describe(run.engine().reference().requests()));
}

TEST(JournalLog, OneWriteTakesAllThatIsPending) {
  FakeDisk disk;
  JournalRun run(disk, 3, large_journal(true));
  ASSERT_TRUE(run.start());
  run.operate_all();
  for (int i = 0; i < 8; ++i) run.event();
  EXPECT_GT(run.log().undurable_bytes(), 0);
  auto operation = run.log().next(0);
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->kind, DiskOperation::Kind::kWrite);
  EXPECT_FALSE(run.log().next(0)) << "one operation at a time";
  run.log().done(perform(disk, *operation), 0);
  EXPECT_FALSE(run.log().take_durable()) << "not before it is synced";
  operation = run.log().next(0);
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->kind, DiskOperation::Kind::kSync);
  run.log().done(perform(disk, *operation), 0);
  EXPECT_EQ(run.log().take_durable(), run.num_appended());
  EXPECT_EQ(run.log().undurable_bytes(), 0);
}

TEST(JournalLog, OnlyTheBeginningOfALifeIsSyncedWithoutFsync) {
  FakeDisk disk;
  JournalRun run(disk, 3, small_journal());
  ASSERT_TRUE(run.start());
  for (int i = 0; i < 20; ++i) {
    run.event();
    while (const auto operation = run.log().next(0)) {
      EXPECT_NE(operation->kind, DiskOperation::Kind::kSync);
      run.log().done(perform(disk, *operation), 0);
    }
  }
}

TEST(JournalLog, AFailedWriteIsRepeatedInAFreshSegment) {
  FakeDisk disk;
  JournalRun run(disk, 4, small_journal());
  ASSERT_TRUE(run.start());
  for (int i = 0; i < 10; ++i) run.event();
  run.operate_all();
  const uint64_t durable = run.num_durable();
  disk.fails_writes = true;
  run.append(run.engine().accept(run.engine().propose()));
  for (int i = 0; i < 10; ++i) run.append(run.engine().step());
  for (int i = 0; i < 40; ++i) {
    run.operate();
    run.advance_us(200'000);
  }
  EXPECT_TRUE(run.log().is_failing());
  EXPECT_FALSE(run.log().has_failed(run.now_us()));
  EXPECT_EQ(run.num_durable(), durable);
  EXPECT_EQ(run.log().reserve({1, 1}, {10, 0}), JournalRoom::kFull)
      << "new work is refused meanwhile";
  EXPECT_EQ(error_id(run.log().take_failures().front()), "TRI-JRN-005");

  disk.fails_writes = false;
  run.advance_us(1'000'000);
  run.operate_all();
  EXPECT_FALSE(run.log().is_failing());
  EXPECT_EQ(run.num_durable(), run.num_appended());
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->damage.empty());
  EXPECT_EQ(describe(found->requests), describe(run.engine().reference().requests()));
}

TEST(JournalLog, AfterSixtySecondsItHasFailedUntilTheDiskWorksAgain) {
  FakeDisk disk;
  JournalRun run(disk, 5, small_journal());
  ASSERT_TRUE(run.start());
  for (int i = 0; i < 10; ++i) run.event();
  disk.fails_writes = true;
  int operations = 0;
  for (int i = 0; i < 590; ++i) {
    while (run.operate()) ++operations;
    EXPECT_FALSE(run.log().has_failed(run.now_us()));
    run.advance_us(100'000);
  }
  EXPECT_LT(operations, 800) << "it does not spin";
  run.advance_us(2'000'000);
  EXPECT_TRUE(run.log().has_failed(run.now_us()));
  ASSERT_TRUE(run.log().retry_at());
  disk.fails_writes = false;
  run.operate_all();
  EXPECT_FALSE(run.log().has_failed(run.now_us()));
  EXPECT_EQ(run.num_durable(), run.num_appended());
}

TEST(JournalLog, AFullDiskRefusesNewWorkAndNeverWhatRuns) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    FakeDisk disk;
    JournalRun run(disk, seed, small_journal());
    ASSERT_TRUE(run.start());
    run.operate_all();
    for (int i = 0; i < 100; ++i) {
      run.event();
      run.operate_all();
    }
    // Somebody else takes the rest of the disk.
    uint64_t used = 0;
    const std::vector<DiskFile> files = *disk.list();
    for (const DiskFile& file : files) used += file.bytes;
    disk.capacity = used;
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
      const uint64_t before = run.num_appended();
      run.event();
      refused += run.num_appended() == before;
      run.operate_all();
      ASSERT_FALSE(run.log().is_failing()) << seed;
      ASSERT_EQ(run.num_durable(), run.num_appended());
      run.advance_us(10'000);
    }
    const auto found = replay_all(disk);
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->damage.empty());
    EXPECT_EQ(describe(found->requests), describe(run.engine().reference().requests()));
  }
}

TEST(JournalLog, ReservationsAreBoundedByTheRoomAndComeBack) {
  FakeDisk disk;
  JournalRun run(disk, 6, small_journal());
  ASSERT_TRUE(run.start());
  run.operate_all();
  const int64_t empty = run.log().reserved_bytes();
  EXPECT_EQ(empty, 0);
  uint64_t id = 0;
  int64_t sum = 0;
  for (int refusals = 0; refusals < 100;) {
    if (run.log().reserve({7, ++id}, {2000, 0}) == JournalRoom::kReserved) {
      sum += 2000;
      refusals = 0;
    } else {
      ++refusals;
      run.operate_all();  // the next segment grows
    }
  }
  EXPECT_EQ(run.log().reserved_bytes(), sum);
  EXPECT_GT(sum, 100'000);
  EXPECT_LE(run.log().disk_bytes(), 512 << 10);
  for (uint64_t i = 1; i <= id; ++i) run.log().release({7, i});
  EXPECT_EQ(run.log().reserved_bytes(), 0);
  EXPECT_EQ(run.log().reserve({7, 0}, {2000, 0}), JournalRoom::kReserved);
  EXPECT_EQ(run.log().reserve({8, 0}, {2000, int64_t{1} << 40}), JournalRoom::kNever);
}

// The long segment that a burst needed becomes the current one. When the burst is over, its room is
// free again although hardly anything is written.
TEST(JournalLog, ALongSegmentIsLeftAndShortenedForThoseThatWait) {
  FakeDisk disk;
  JournalRun run(disk, 6, small_journal());
  ASSERT_TRUE(run.start());
  run.operate_all();
  ASSERT_EQ(run.log().reserve({9, 1}, {100, 100'000}), JournalRoom::kReserved);
  run.operate_all();
  uint64_t running = 0;
  for (int refusals = 0; refusals < 3;) {
    if (run.log().reserve({7, running + 1}, {500, 20'000}) != JournalRoom::kReserved) {
      ++refusals;
      run.operate_all();
      continue;
    }
    ++running;
    run.operate_all();
    for (int i = 0; i < 3 && !run.log().reserve_run({7, running}); ++i) run.operate_all();
  }
  ASSERT_GT(running, 5u);
  for (int i = 0; i < 3000 && run.log().current_bytes() <= 64 << 10; ++i) {
    run.append(run.engine().step());
    if (i % 20 == 0) run.append(run.engine().accept(run.engine().propose()));
    run.operate_all();
  }
  ASSERT_GT(run.log().current_bytes(), 64u << 10) << "the long segment did not become the current";
  // While the room is in use, no segment is left for the one that still waits.
  const auto newest = [&] {
    uint64_t number = 0;
    const std::vector<DiskFile> files = *disk.list();
    for (const DiskFile& file : files) {
      number = std::max(number, segment_number(file.name).value_or(0));
    }
    return number;
  };
  const uint64_t before = newest();
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(run.log().reserve_run({9, 1}));
    run.operate_all();
  }
  EXPECT_LE(newest(), before + 2);
  run.log().release({9, 1});
  for (uint64_t id = 1; id <= running; ++id) run.log().release({7, id});
  bool has_room = false;
  for (int i = 0; i < 10 && !has_room; ++i) {
    const RequestId id{8, static_cast<uint64_t>(i)};
    has_room =
        run.log().reserve(id, {500, 20'000}) == JournalRoom::kReserved && run.log().reserve_run(id);
    run.operate_all();
  }
  EXPECT_TRUE(has_room);
  EXPECT_LE(run.log().disk_bytes(), 512 << 10);
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->damage.empty());
}

// A request that waits has room for its acceptance and its end alone.
TEST(JournalLog, ARequestThatRunsNeedsItsRoomAndLearnsWhenThereIsSome) {
  FakeDisk disk;
  JournalRun run(disk, 6, small_journal());
  ASSERT_TRUE(run.start());
  run.operate_all();
  constexpr WorstCase kBytes = {500, 100'000};
  for (uint64_t id = 1; id <= 20; ++id) {
    ASSERT_EQ(run.log().reserve({7, id}, kBytes), JournalRoom::kReserved) << id;
    run.operate_all();  // the next segment grows
  }
  EXPECT_EQ(run.log().reserved_bytes(), 20 * 500);
  uint64_t running = 0;
  for (int refusals = 0; refusals < 3;) {
    if (run.log().reserve_run({7, running + 1})) {
      ++running;
      EXPECT_TRUE(run.log().reserve_run({7, running})) << "it has its room";
      refusals = 0;
      continue;
    }
    ++refusals;
    EXPECT_FALSE(run.log().take_room_news());
    run.operate_all();  // the next segment grows, up to the size of the journal
    EXPECT_EQ(run.log().take_room_news(), refusals == 1) << running;
  }
  EXPECT_GE(running, 2u);
  EXPECT_LT(running, 5u);
  EXPECT_LE(run.log().disk_bytes(), 512 << 10);
  run.log().release({7, 1});
  EXPECT_TRUE(run.log().reserve_run({7, running + 1}));
}

// Promises may take the disk above the size of the journal. When they are kept there is room again,
// although the next segment stays as large as it became.
TEST(JournalLog, AfterABurstThatFilledItThereIsRoomAgain) {
  FakeDisk disk;
  JournalRun run(disk, 6, small_journal());
  ASSERT_TRUE(run.start());
  run.operate_all();
  uint64_t id = 0;
  for (int refusals = 0; refusals < 100;) {
    const bool taken = run.log().reserve({7, ++id}, {2000, 0}) == JournalRoom::kReserved;
    refusals = taken ? 0 : refusals + 1;
    if (!taken) run.operate_all();
  }
  for (int i = 0; i < 2000 && run.log().disk_bytes() <= 512 << 10; ++i) {
    run.append(run.engine().accept(run.engine().propose()));
    run.operate_all();
  }
  ASSERT_GT(run.log().disk_bytes(), 512 << 10);
  for (uint64_t i = 1; i <= id; ++i) run.log().release({7, i});
  bool taken = false;
  for (int i = 0; i < 10 && !taken; ++i) {
    taken = run.log().reserve({8, static_cast<uint64_t>(i)}, {2000, 0}) == JournalRoom::kReserved;
    run.operate_all();
  }
  EXPECT_TRUE(taken);
}

TEST(JournalLog, WhatIsOverAndFiledReservesNothing) {
  FakeDisk disk;
  JournalRun run(disk, 8, large_journal());
  ASSERT_TRUE(run.start());
  for (int i = 0; i < 300; ++i) run.event();
  run.operate_all();
  EXPECT_GT(run.log().reserved_bytes(), 0);
  while (true) {
    bool is_live = false;
    for (const RestoredRequest& request : run.engine().reference().requests()) {
      for (const RestoredChoice& choice : request.choices) is_live |= !choice.ended;
    }
    if (!is_live) break;
    run.append(run.engine().step());
    run.operate_all();
  }
  EXPECT_EQ(run.log().reserved_bytes(), 0);
}

TEST(JournalLog, TheBytesOfARequestStayWithinItsWorstCase) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    FakeDisk disk;
    LogOptions options = small_journal();
    options.segment_bytes = 1 << 20;
    options.journal_bytes = 8 << 20;
    JournalRun run(disk, seed, options);
    ASSERT_TRUE(run.start());
    record::Accepted accepted = run.engine().propose();
    const int64_t bound = worst_case_bytes(accepted.submit).all();
    const auto written = [&] {
      uint64_t end = 0;
      for (const SegmentRecord& record :
           scan_segment(*read_segment_header(disk.content(segment_name(1))),
                        disk.content(segment_name(1)))
               .records) {
        end = record.offset + record.bytes;
      }
      return static_cast<int64_t>(end);
    };
    const int64_t begin = written();
    run.append(run.engine().accept(std::move(accepted)));
    for (int i = 0; i < 1000; ++i) {
      run.append(run.engine().step());
      run.operate_all();
    }
    EXPECT_LE(written() - begin, bound) << seed;
  }
}

TEST(JournalLog, AFullDiskAtTheStartIsAnError) {
  FakeDisk disk;
  disk.capacity = 1000;
  JournalRun run(disk, 8, small_journal());
  EXPECT_FALSE(run.start());
  EXPECT_EQ(error_id(run.log().take_failures().front()), "TRI-JRN-004");
  EXPECT_TRUE(disk.list()->empty());
}

}  // namespace journal_log_test
}  // namespace trireme::journal

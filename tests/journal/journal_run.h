// A journal on a fake disk under a random engine, in one thread, with operations one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/journal/journal_log.h"
#include "tests/journal/fake_disk.h"
#include "tests/journal/journal_fixture.h"

namespace trireme::journal {

class JournalRun {
 public:
  JournalRun(FakeDisk& disk, uint64_t seed, LogOptions options);

  // Replays, and begins the next epoch. False if the disk failed before it was durable.
  bool start();
  // Carries out one operation. False: there was none.
  bool operate();
  void operate_all() {
    while (operate()) {
    }
  }
  // One event of the engine.
  void event();
  void append(Record record);

  // The requests after the first `count` records since start().
  std::vector<RestoredRequest> requests_after(uint64_t count) const;
  uint64_t num_appended() const { return records_.size(); }
  uint64_t num_durable() const { return num_durable_; }
  const Replayed& found() const { return found_; }
  JournalLog& log() { return *log_; }
  RandomEngine& engine() { return engine_; }
  void advance_us(TimeUs by) { now_us_ += by; }
  TimeUs now_us() const { return now_us_; }

 private:
  FakeDisk& disk_;
  LogOptions options_;
  RandomEngine engine_;
  std::unique_ptr<JournalLog> log_;
  Replayed found_;
  std::vector<Record> records_;
  uint64_t num_durable_ = 0;
  TimeUs now_us_ = 1'000'000;
};

StatusOr<Replayed> replay_all(Disk& disk);

}  // namespace trireme::journal

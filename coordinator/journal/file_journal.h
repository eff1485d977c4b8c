// The journal of a running coordinator: a thread that carries out what JournalLog decides. append()
// and reserve() never wait for the disk. All public functions: the loop's thread, or any; one mutex
// guards the log. The thread calls `wake` when take_durable() or the failures have news.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "coordinator/engine/journal.h"
#include "coordinator/journal/disk.h"
#include "coordinator/journal/journal_log.h"

namespace trireme::journal {

struct FileJournalOptions {
  LogOptions log;  // its journal id is drawn if it is not set
  int64_t wall_offset_us = 0;
  std::shared_ptr<const Dialect> dialect;  // of the model's chats
  std::function<void()> wake = [] {};
};

class FileJournal final : public Journal {
 public:
  // Reads what is there, and begins the next epoch, synced. TRI-JRN-002, 004, 005.
  static StatusOr<std::unique_ptr<FileJournal>> open(std::unique_ptr<Disk> disk,
                                                     const FileJournalOptions& options);
  // Writes what was appended, unless the disk fails.
  ~FileJournal() override;

  // Findings of the start; of the requests the first call only.
  std::vector<RestoredRequest> take_restored() { return std::move(found_.requests); }
  int64_t num_foreign() const { return found_.num_foreign; }
  const std::vector<RequestId>& incomplete() const { return found_.incomplete; }
  const std::vector<Status>& damage() const { return found_.damage; }
  uint64_t cut_bytes() const { return found_.cut_bytes; }
  uint64_t epoch() const { return epoch_; }
  const JournalId& journal_id() const { return journal_id_; }

  // As in JournalLog.
  void append(uint64_t sequence, Record record) override;
  std::optional<uint64_t> take_durable() override;
  JournalRoom reserve(const RequestId& id, const SubmitRequest& submit) override;
  bool reserve_run(const RequestId& id) override;
  bool take_room_news() override;
  void release(const RequestId& id);
  int64_t undurable_bytes();
  bool is_failing();
  bool has_failed() override;
  std::vector<Status> take_failures() override;
  JournalFigures figures() override;

 private:
  FileJournal(std::unique_ptr<Disk> disk, const FileJournalOptions& options, Replayed found);
  Status begin_epoch();
  void run();

  const std::unique_ptr<Disk> disk_;
  const std::function<void()> wake_;
  SteadyClock clock_;
  std::mutex mutex_;  // guards log_ and stopping_
  std::condition_variable changed_;
  JournalLog log_;
  bool stopping_ = false;
  Replayed found_;  // without its state
  uint64_t epoch_ = 0;
  JournalId journal_id_;
  std::thread thread_;
};

}  // namespace trireme::journal

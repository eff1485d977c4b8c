#include "coordinator/journal/file_journal.h"

#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "coordinator/journal/worst_case.h"

namespace trireme::journal {
namespace {

LogOptions with_id(LogOptions options) {
  if (options.journal == JournalId()) randombytes_buf(&options.journal, sizeof(options.journal));
  return options;
}

RecordCodec codec_of(const FileJournalOptions& options) {
  return RecordCodec(options.wall_offset_us, options.dialect);
}

}  // namespace

StatusOr<std::unique_ptr<FileJournal>> FileJournal::open(std::unique_ptr<Disk> disk,
                                                         const FileJournalOptions& options) {
  RecordCodec codec = codec_of(options);
  ASSIGN_OR_RETURN(Replayed found, replay(*disk, codec, options.log.origin));
  std::unique_ptr<FileJournal> journal(new FileJournal(std::move(disk), options, std::move(found)));
  RETURN_IF_ERROR(journal->begin_epoch());
  journal->thread_ = std::thread(&FileJournal::run, journal.get());
  return journal;
}

FileJournal::FileJournal(std::unique_ptr<Disk> disk,
                         const FileJournalOptions& options,
                         Replayed found)
    : disk_(std::move(disk)),
      wake_(options.wake),
      log_(with_id(options.log), codec_of(options), found),
      found_(std::move(found)),
      epoch_(log_.state().epoch() + 1),
      journal_id_(log_.journal_id()) {}

FileJournal::~FileJournal() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

// Before the thread runs: the first segment of this life, and the epoch in it.
Status FileJournal::begin_epoch() {
  log_.append_life(epoch_);
  while (log_.state().epoch() != epoch_) {
    const std::optional<DiskOperation> operation = log_.next(clock_.now_us());
    if (operation) log_.done(perform(*disk_, *operation), clock_.now_us());
    const std::vector<Status> failures = log_.take_failures();
    if (!failures.empty()) return failures.front();
  }
  return ok_status();
}

void FileJournal::append(uint64_t sequence, Record record) {
  {
    const std::lock_guard lock(mutex_);
    log_.append(sequence, std::move(record));
  }
  changed_.notify_one();
}

std::optional<uint64_t> FileJournal::take_durable() {
  const std::lock_guard lock(mutex_);
  return log_.take_durable();
}

JournalRoom FileJournal::reserve(const RequestId& id, const SubmitRequest& submit) {
  const WorstCase bytes = worst_case_bytes(submit);
  JournalRoom room = JournalRoom::kFull;
  {
    const std::lock_guard lock(mutex_);
    room = log_.reserve(id, bytes);
  }
  changed_.notify_one();  // the next segment may have to grow
  return room;
}

bool FileJournal::reserve_run(const RequestId& id) {
  bool has_room = false;
  {
    const std::lock_guard lock(mutex_);
    has_room = log_.reserve_run(id);
  }
  changed_.notify_one();
  return has_room;
}

bool FileJournal::take_room_news() {
  const std::lock_guard lock(mutex_);
  return log_.take_room_news();
}

void FileJournal::release(const RequestId& id) {
  const std::lock_guard lock(mutex_);
  log_.release(id);
}

int64_t FileJournal::undurable_bytes() {
  const std::lock_guard lock(mutex_);
  return log_.undurable_bytes();
}

bool FileJournal::is_failing() {
  const std::lock_guard lock(mutex_);
  return log_.is_failing();
}

bool FileJournal::has_failed() {
  const TimeUs now = clock_.now_us();
  const std::lock_guard lock(mutex_);
  return log_.has_failed(now);
}

JournalFigures FileJournal::figures() {
  const std::lock_guard lock(mutex_);
  JournalFigures figures = log_.figures();
  figures.foreign = found_.num_foreign;
  return figures;
}

std::vector<Status> FileJournal::take_failures() {
  const std::lock_guard lock(mutex_);
  return log_.take_failures();
}

void FileJournal::run() {
  SteadyClock clock;
  std::unique_lock lock(mutex_);
  while (true) {
    const std::optional<DiskOperation> operation = log_.next(clock.now_us());
    if (!operation) {
      if (stopping_ && (log_.undurable_bytes() == 0 || log_.is_failing())) return;
      const std::optional<TimeUs> retry_at = log_.retry_at();
      if (!retry_at) {
        changed_.wait(lock);
        continue;
      }
      const TimeUs wait_us = std::max<TimeUs>(*retry_at - clock.now_us(), 1000);
      changed_.wait_for(lock, std::chrono::microseconds(wait_us));
      continue;
    }
    const bool was_failing = log_.is_failing();
    lock.unlock();
    const DiskResult result = perform(*disk_, *operation);
    lock.lock();
    log_.done(result, clock.now_us());
    const bool has_news =
        log_.has_durable() || log_.has_room_news() || log_.is_failing() || was_failing;
    if (!has_news) continue;
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace trireme::journal

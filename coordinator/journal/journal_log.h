// The decisions of the journal: which bytes go where, when a segment begins and when an old one
// goes, what room requests may rely on, what happens after a failed write. Pure: no thread, clock
// or file; its owner carries out one operation after the other. Invariants: what is reported
// durable is read back by replay(); every accepted request can be ended, and every one that runs
// can be journaled to its end, without new room on the disk.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "coordinator/engine/journal.h"
#include "coordinator/journal/disk_operation.h"
#include "coordinator/journal/replay.h"
#include "coordinator/journal/request_numbers.h"
#include "coordinator/journal/reservations.h"
#include "coordinator/journal/segment_opening.h"

namespace trireme::journal {

struct LogOptions {
  int64_t journal_bytes = int64_t{1} << 30;
  int64_t segment_bytes = int64_t{64} << 20;  // at most an eighth of journal_bytes
  bool fsync = false;
  JournalId journal;  // of a new journal; one that was replayed keeps its own
  Origin origin;
};

class JournalLog {
 public:
  // Takes the state and the list of segments out of `replayed`.
  JournalLog(const LogOptions& options, RecordCodec codec, Replayed& replayed);

  // `sequence` ascends from call to call.
  void append(uint64_t sequence, Record record);
  // A coordinator begins; always synced.
  void append_life(uint64_t epoch);
  // The highest sequence that has become durable since the last call.
  std::optional<uint64_t> take_durable();
  bool has_durable() const { return durable_.has_value(); }

  // Before a request is accepted: room for bytes.accepted. kNever: for bytes.running there would be
  // none, even if the journal were idle.
  JournalRoom reserve(const RequestId& id, const WorstCase& bytes);
  // Before it first runs: room for bytes.running. False: there is none now; has_room_news() tells
  // when to ask again.
  bool reserve_run(const RequestId& id);
  bool has_room_news() const { return room_news_; }
  bool take_room_news() { return std::exchange(room_news_, false); }
  // Of a request that is not accepted after all. The journal itself releases the others: when
  // their answer is durable, or they are forgotten.
  void release(const RequestId& id);

  int64_t undurable_bytes() const { return undurable_bytes_; }
  int64_t reserved_bytes() const { return reservations_.bytes(); }
  int64_t disk_bytes() const;
  uint64_t current_bytes() const { return current_ ? current_->bytes : 0; }  // of its file
  JournalFigures figures() const;
  // A write failed and has not succeeded yet in a fresh segment; for 60 s: has_failed().
  bool is_failing() const { return failing_since_.has_value(); }
  bool has_failed(TimeUs now) const;
  // Failures since the last call: TRI-JRN-004, TRI-JRN-005.
  std::vector<Status> take_failures();

  // The next operation; nullopt: none now, or one is not reported yet.
  std::optional<DiskOperation> next(TimeUs now);
  void done(const DiskResult& result, TimeUs now);
  // When to ask next() again although nothing is appended.
  std::optional<TimeUs> retry_at() const;

  const JournalState& state() const { return state_; }
  const JournalId& journal_id() const { return options_.journal; }

 private:
  enum class Task : uint8_t { kNone, kReserve, kShorten, kUnlink, kOpen, kWrite, kSync };
  struct Pending {
    std::optional<uint64_t> sequence;  // of append(); none: the journal's own
    Entries entries;
    std::string body;
    bool sync = false;
  };
  struct Current {
    uint64_t number = 0;
    uint32_t seed = 0;
    uint64_t begin = 0;  // of its events
    uint64_t offset = 0;
    uint64_t bytes = 0;  // of the file
  };

  void push(std::optional<uint64_t> sequence, Entries entries, bool sync);
  void file_answer(RequestNumber number);

  std::optional<DiskOperation> next_upkeep(TimeUs now);
  std::optional<DiskOperation> next_write();
  std::optional<DiskOperation> next_sync();
  std::optional<DiskOperation> next_of_opening(TimeUs now);
  bool fits(uint64_t body_bytes) const;
  bool needs_segment() const;     // the next record fits nowhere
  bool wants_segment() const;     // the current one is long enough
  uint64_t needed_bytes() const;  // of a segment that holds all that is promised
  uint64_t wanted_bytes() const;
  int64_t room() const;
  bool has_room(int64_t bytes);
  void note_room() {
    room_news_ |= std::exchange(awaits_room_, false);
    refused_bytes_ = 0;  // whoever still waits asks again
  }
  void begin_opening();
  void end_opening();

  void finish_reserve(const Status& status, TimeUs now);
  void finish_opening_step(const DiskResult& result, TimeUs now);
  void commit();
  void commit_entry(const Entry& entry, const Place& place);
  void fail(const Status& status, TimeUs now);
  void collect_garbage();

  LogOptions options_;
  RecordCodec codec_;
  JournalState state_;  // of the durable records
  RequestNumbers numbers_;
  std::map<uint64_t, uint64_t> files_;  // segments on the disk: number -> bytes
  std::vector<uint64_t> garbage_;
  // Segments that were left, or found at the start, and take more than they use: number, bytes in
  // use.
  std::vector<std::pair<uint64_t, uint64_t>> too_long_;
  uint64_t next_segment_;

  std::optional<Current> current_;
  std::optional<SegmentOpening> opening_;
  std::optional<uint64_t> spare_;  // reserved for the next segment
  TimeUs reserve_at_ = 0;          // not before: the last attempt failed

  std::deque<Pending> pending_;
  int64_t undurable_bytes_ = 0;
  std::string batch_;          // of the write that is under way
  std::vector<Place> places_;  // of its records, the first of pending_
  bool needs_sync_ = false;    // it is written, but durable only when synced
  uint64_t sequence_ = 0;      // of the last durable record
  std::optional<uint64_t> durable_;

  Reservations reservations_;
  int64_t refused_bytes_ = 0;  // of the largest request that was refused for lack of room
  bool awaits_room_ = false;   // reserve_run() has returned false
  bool room_news_ = false;

  Task task_ = Task::kNone;
  uint64_t task_segment_ = 0;
  uint64_t task_bytes_ = 0;
  std::optional<TimeUs> failing_since_;
  TimeUs retry_at_ = 0;
  std::vector<Status> failures_;
};

}  // namespace trireme::journal

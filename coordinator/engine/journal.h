// Log that survives a restart. Clients are told only of what is durable in it. Called by the loop;
// an implementation that writes to a disk has its own thread and wakes the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "coordinator/engine/records.h"

namespace trireme {

// Answer to a request for room.
enum class JournalRoom : uint8_t {
  kReserved,
  kFull,   // there is none now
  kNever,  // a journal of this size never has so much
};

// For whoever asks for the status of a cluster; sizes in bytes.
struct JournalFigures {
  bool is_on = false;
  bool is_failing = false;  // writes are tried again
  int64_t bytes = 0;        // on the disk
  int64_t max_bytes = 0;
  int64_t reserved_bytes = 0;
  int64_t undurable_bytes = 0;
  int64_t unfinished = 0;  // requests
  int64_t kept = 0;        // answers that are over
  int64_t foreign = 0;     // requests of another model
};

class Journal {
 public:
  virtual ~Journal() = default;
  // `sequence` ascends from call to call. Never blocks.
  virtual void append(uint64_t sequence, Record record) = 0;
  // The highest sequence that has become durable since the last call.
  virtual std::optional<uint64_t> take_durable() = 0;
  // Room for the acceptance and the end of a request, before it is accepted.
  virtual JournalRoom reserve(const RequestId& id, const SubmitRequest& submit) = 0;
  // Room for all that it may generate, before it first runs. False: there is none now.
  virtual bool reserve_run(const RequestId& id) = 0;
  // Whether there may be room since reserve_run() has returned false.
  virtual bool take_room_news() = 0;
  // Failures of the disk since the last call.
  virtual std::vector<Status> take_failures() = 0;
  // The disk has failed for so long that nothing will become durable any more.
  virtual bool has_failed() = 0;
  virtual JournalFigures figures() = 0;
};

// Stores nothing: every record counts as durable at once, and nothing survives a restart.
class NullJournal final : public Journal {
 public:
  void append(uint64_t sequence, Record) override { durable_ = sequence; }
  std::optional<uint64_t> take_durable() override { return std::exchange(durable_, std::nullopt); }
  JournalRoom reserve(const RequestId&, const SubmitRequest&) override {
    return JournalRoom::kReserved;
  }
  bool reserve_run(const RequestId&) override { return true; }
  bool take_room_news() override { return false; }
  std::vector<Status> take_failures() override { return {}; }
  bool has_failed() override { return false; }
  JournalFigures figures() override { return {}; }

 private:
  std::optional<uint64_t> durable_;
};

}  // namespace trireme

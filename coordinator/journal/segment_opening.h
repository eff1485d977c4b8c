// The head of a new segment: copies of records that older segments hold for too long, then the
// snapshot. Part of JournalLog; its thread only. No records become durable meanwhile, so that the
// state stands still; each operation is of about a megabyte, so that nobody waits long for the
// next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/journal/disk_operation.h"
#include "coordinator/journal/journal_state.h"
#include "coordinator/journal/record_codec.h"
#include "coordinator/journal/segment.h"

namespace trireme::journal {

class SegmentOpening {
 public:
  struct Copy {
    RequestNumber number = 0;
    bool is_answer = false;  // else its accept record
    Place from;
  };

  SegmentOpening(const SegmentHeader& header,
                 const JournalState& state,
                 RecordCodec& codec,
                 std::vector<Copy> copies,
                 bool sync);

  // nullopt: the segment is open for events from offset() on.
  std::optional<DiskOperation> next();
  // An error: the segment is of no use. A copy that cannot be read stays where it is.
  Status done(const DiskResult& result);

  uint64_t number() const { return header_.number; }
  uint64_t offset() const { return offset_; }
  // Afterwards: the places of what was copied.
  void move_copies(JournalState& state) const;

 private:
  void add_record(RecordType type, const Entries& entries);
  void add_copy(const Copy& copy, const std::string& bytes);
  void add_states();
  RequestState state_of(const JournalState::Request& request) const;

  const SegmentHeader header_;
  const uint32_t seed_;
  const JournalState& state_;
  RecordCodec& codec_;
  const std::vector<Copy> copies_;
  std::map<RequestNumber, Place> accepted_at_;  // of what was copied
  std::map<RequestNumber, Place> answer_at_;

  std::string buffer_;  // begins at offset_
  std::string body_;
  uint64_t offset_ = 0;
  size_t next_copy_ = 0;
  RequestNumber next_state_ = 0;
  bool has_end_ = false;
  bool needs_sync_;
  DiskOperation::Kind running_ = DiskOperation::Kind::kWrite;
};

}  // namespace trireme::journal

// Reads a journal: the segment with the last whole snapshot, those behind it, and the records that
// the snapshot points at. Changes nothing on the disk, so that a replay can be repeated. Damage is
// named and contained: requests that it hits keep what is known for certain.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "coordinator/journal/disk.h"
#include "coordinator/journal/journal_state.h"
#include "coordinator/journal/record_codec.h"
#include "coordinator/journal/segment.h"

namespace trireme::journal {

struct Replayed {
  JournalId journal;  // zeros: there is none yet
  uint64_t sequence = 0;
  uint64_t next_segment = 1;
  std::map<uint64_t, uint64_t> segments;  // on the disk: number -> bytes
  // Segments that are longer than their records: number, bytes in use.
  std::vector<std::pair<uint64_t, uint64_t>> too_long;
  JournalState state;

  // In order of acceptance. A request of another model, tokenizer or template is left out: it stays
  // in the journal.
  std::vector<RestoredRequest> requests;
  int64_t num_foreign = 0;
  // Requests whose clients may have ids that the journal has lost: what is known is the beginning.
  std::vector<RequestId> incomplete;
  std::vector<Status> damage;  // TRI-JRN-001: what was found, and what is lost
  uint64_t cut_bytes = 0;      // of records that nobody was told to be durable
};

// TRI-JRN-002: a segment of a newer format version. TRI-JRN-005: the disk fails.
StatusOr<Replayed> replay(Disk& disk, RecordCodec& codec, const Origin& origin);

}  // namespace trireme::journal

// The numbers that requests have in the journal, and the conversion of the Engine's entries to
// them. Part of JournalLog; its thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "coordinator/journal/journal_entry.h"
#include "coordinator/journal/journal_state.h"

namespace trireme::journal {

class RequestNumbers {
 public:
  // Of the requests that were replayed.
  explicit RequestNumbers(const JournalState& state);

  // Entries of a record. A CHECK fails for a request that was never accepted, or is forgotten.
  Entries convert(Record record, const Origin& origin);

  std::optional<RequestNumber> find(const RequestId& id) const;
  bool is_full() const { return free_.empty() && next_ == kMaxRequests; }

 private:
  RequestNumber assign(const RequestId& id);
  RequestNumber at(const RequestId& id) const;
  void append(record::Tokens tokens, Entries& entries) const;

  std::map<RequestId, RequestNumber> numbers_;
  std::vector<RequestNumber> free_;  // below next_
  RequestNumber next_ = 0;
};

}  // namespace trireme::journal

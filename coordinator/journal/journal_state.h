// The requests that a journal knows after its records so far: the live ones with their ids, the
// kept ones with the place of their answer. Replay makes it from the records, and the journal makes
// the snapshot at the head of a segment from it. Plain values, one thread. Invariant: a number
// names one request from its Accepted to its Forgotten.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "coordinator/journal/journal_entry.h"

namespace trireme::journal {

class JournalState {
 public:
  struct Request {
    RequestState state;
    int32_t num_ended = 0;  // choices
    bool stale = false;     // records of it are missing: later ones do not count

    bool is_over() const { return state.answer_at || num_ended == std::ssize(state.choices); }
  };

  // An entry of an event that stands at `place`. TRI-JRN-001: it contradicts the entries before
  // it; the state is then unchanged but for earlier runs of the same Tokens.
  Status apply(const Entry& entry, const Place& place);

  // Records are missing from here on: what is known of live requests no longer grows, and entries
  // of unknown requests are ignored.
  void note_gap();
  // The end of replay: requests go on from what is known. Returns those that were stale.
  std::vector<RequestId> end_gap();

  // nullptr: none of this number.
  const Request* find(RequestNumber number) const;
  void forget(RequestNumber number);
  // Its accept record, or its answer, has been written again.
  void move_accepted(RequestNumber number, const Place& place);
  void move_answer(RequestNumber number, const Place& place);

  // Bound of the numbers in use.
  RequestNumber end() const { return static_cast<RequestNumber>(requests_.size()); }
  int64_t num_requests() const { return num_requests_; }
  uint64_t epoch() const { return epoch_; }
  // Bytes of its snapshot, at most.
  int64_t snapshot_bytes() const;
  // In the order of their acceptance.
  std::vector<RequestNumber> in_order() const;

 private:
  Status enter(const Life& life, const Place& place);
  Status enter(const Accepted& accepted, const Place& place);
  Status enter(const Bound& bound, const Place& place);
  Status enter(const Tokens& tokens, const Place& place);
  Status enter(const Ended& ended, const Place& place);
  Status enter(const Suspect& suspect, const Place& place);
  Status enter(const Forgotten& forgotten, const Place& place);
  Status enter(const Answer& answer, const Place& place);
  Status enter(const RequestState& state, const Place& place);

  Request* slot(RequestNumber number);  // nullptr: none
  Status create(RequestNumber number, RequestState state);
  Status unknown(RequestNumber number) const;

  std::vector<std::unique_ptr<Request>> requests_;  // by number
  int64_t num_requests_ = 0;
  int64_t num_ids_ = 0;       // of all choices
  int64_t num_logprobs_ = 0;  // of all choices, the top ones counted
  uint64_t next_order_ = 0;
  uint64_t epoch_ = 0;
  bool had_gap_ = false;
};

}  // namespace trireme::journal

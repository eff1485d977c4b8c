// Entries of the journal as they stand in its records: requests have a dense number instead of
// their id, and the ids of a step lie in columns. Plain values; record_codec.h encodes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/engine/records.h"

namespace trireme::journal {

// Assigned at acceptance, free again once the request is forgotten.
using RequestNumber = uint32_t;
constexpr RequestNumber kMaxRequests = 1 << 22;  // live and kept ones
constexpr int64_t kMaxPlaceBytes = 300 << 20;    // of one record, header included

// Digests of what decides an answer besides the request. "": not known, equal to any.
struct Origin {
  std::string model;
  std::string tokenizer;
  std::string chat_template;
  bool operator==(const Origin&) const = default;
};

// Where a record stands.
struct Place {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // of the record, header included
  bool operator==(const Place&) const = default;
};

struct Life {
  uint64_t epoch = 0;
};

struct Accepted {
  RequestNumber number = 0;
  record::Accepted request;
  Origin origin;
};

struct Bound {
  RequestNumber number = 0;
  std::string compatibility;
};

// Run i: the next counts[i] ids, of choice choices[i] of request numbers[i].
struct Tokens {
  std::vector<RequestNumber> numbers;
  std::vector<int32_t> choices;  // empty: all 0
  std::vector<int32_t> counts;   // empty: all 1
  std::vector<TokenId> ids;
  std::vector<int32_t> scored;         // runs with log-probabilities, ascending
  std::vector<LogprobEntry> logprobs;  // of all ids of these runs
};

struct Ended {
  RequestNumber number = 0;
  record::Ended end;  // its request id is unset
};

struct Suspect {
  RequestNumber number = 0;
  int32_t crashes = 0;
};

struct Forgotten {
  RequestNumber number = 0;
};

// The whole answer of a request that is over.
struct Answer {
  RequestNumber number = 0;
  RequestId id;
  std::vector<RestoredChoice> choices;
};

// A request that lives, or is kept, when a segment begins.
struct RequestState {
  RequestNumber number = 0;
  RequestId id;
  uint64_t order = 0;  // of acceptance
  Place accepted_at;
  std::optional<Place> answer_at;  // has a value: `choices` is empty
  std::string compatibility;
  std::vector<RestoredChoice> choices;
  int32_t crashes = 0;  // of the last Suspect
};

using Entry =
    std::variant<Life, Accepted, Bound, Tokens, Ended, Suspect, Forgotten, Answer, RequestState>;
using Entries = std::vector<Entry>;

}  // namespace trireme::journal

// Records of the journal: what the Engine has promised, or must know again after a restart. Plain
// values; coordinator/journal/ encodes them. One event gives at most one record, whose entries
// become durable together: a step's tokens and the ends that follow from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/engine/submit_request.h"

namespace trireme {

namespace record {

// A request was accepted. Holds everything that decides its answer; nothing of the connection that
// it came on.
struct Accepted {
  RequestId id;
  uint64_t seed = 0;
  SubmitRequest submit;  // with its prompt; connection, client_tag and credit_bytes are 0
  TimeUs accepted_us = 0;
};

// The request runs for the first time, on a group of this compatibility.
struct Bound {
  RequestId id;
  std::string compatibility;
};

// Ids of one choice that a step has drawn, in order behind those of earlier records.
struct Tokens {
  RequestId id;
  int32_t choice = 0;
  std::vector<TokenId> ids;
  std::vector<LogprobEntry> logprobs;  // empty, or parallel to ids
};

// The end of one choice. `num_ids`: ids of the answer, which may be fewer than the Tokens told (a
// stop string was found before them).
struct Ended {
  RequestId id;
  int32_t choice = 0;
  int32_t num_ids = 0;
  FinishReason reason = FinishReason::kStop;
  std::string stop_string;
  std::optional<TokenId> stop_token;
  Status error;
  int32_t cached_tokens = 0;
  bool invariant = true;
  TimeUs ended_us = 0;
};

// A rank got a fatal signal in a step with this request, for the `crashes`-th time
// (engine_suspects.cc).
struct Suspect {
  RequestId id;
  int32_t crashes = 0;
};

// The request and its key are gone: it was cancelled, or its time to live is over.
struct Forgotten {
  RequestId id;
};

}  // namespace record

using RecordEntry = std::variant<record::Accepted,
                                 record::Bound,
                                 record::Tokens,
                                 record::Ended,
                                 record::Suspect,
                                 record::Forgotten>;
using Record = std::vector<RecordEntry>;

// A request as replay of the journal gives it: what its client may know already.
struct RestoredChoice {
  std::vector<TokenId> ids;
  std::vector<LogprobEntry> logprobs;
  std::optional<record::Ended> ended;
};
struct RestoredRequest {
  record::Accepted accepted;
  std::string compatibility;  // of the group on which it first ran; "": none
  std::vector<RestoredChoice> choices;
  int32_t crashes = 0;  // of the last Suspect
};

}  // namespace trireme

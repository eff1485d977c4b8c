// Events, the Engine's inputs, and effects, its outputs. Plain values: the doors convert them from
// and to frames, the journal to records; the simulation makes them up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/sampling_params.h"
#include "model/step_plan.h"

namespace trireme {

using GroupId = int32_t;
using ConnectionId = uint64_t;  // one client connection; never reused

// Name of an accepted request: 128 random bits, drawn by the Engine. A secret: it allows Cancel.
struct RequestId {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const RequestId&) const = default;
  bool operator<(const RequestId& other) const {
    return std::pair(high, low) < std::pair(other.high, other.low);
  }
};
std::string to_string(const RequestId& id);  // 32 hexadecimal digits

enum class OnDisconnect : uint8_t { kCancel, kContinue };
enum class RequestKind : uint8_t { kGenerate, kScore, kProbe };

// A request that admission let in (doors/admission.h): at least one token, all in the vocabulary;
// parameters validated; probes at positions of the prompt. The Engine does not check these again.
struct SubmitRequest {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;  // the client's own number of this request on its connection
  std::string principal;
  std::string idempotency_key;  // "": none; unique per principal
  std::string traceparent;
  RequestKind kind = RequestKind::kGenerate;
  std::vector<TokenId> prompt;
  GenerationParams params;
  OnDisconnect on_disconnect = OnDisconnect::kCancel;
  TimeUs deadline_us = 0;            // 0: none
  int64_t credit_bytes = 0;          // bytes that may be sent before the client grants more
  std::vector<ProbeRequest> probes;  // slot unused; only where the cluster allows probes
};

// Limits of a ready group, on which all its ranks agree.
struct GroupShape {
  GroupId group = 0;
  uint64_t epoch = 0;
  int32_t num_pages = 0;
  int32_t page_tokens = 0;
  int32_t max_slots = 0;
  int32_t num_stages = 1;
  int32_t max_batched_tokens = 0;
  int32_t max_model_len = 0;
  bool invariant = true;
  std::vector<int32_t> token_buckets;  // of captured steps, ascending; empty: none are captured
  std::vector<int32_t> row_buckets;
  std::string compatibility;  // groups with an equal value give bit-identical answers

  // Tokens of the longest sequence, prompt and answer.
  int32_t longest() const {
    return static_cast<int32_t>(std::min<int64_t>(max_model_len, int64_t{num_pages} * page_tokens));
  }
};

namespace event {
struct Submitted {
  SubmitRequest request;
};
struct Cancelled {
  RequestId request;
  ConnectionId connection = 0;
};
struct Disconnected {
  ConnectionId connection = 0;
};
struct Resumed {  // a client asks to continue an answer on this connection
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  uint64_t nonce = 0;
  std::vector<int32_t> next_index;  // per choice: the first token that it lacks
  int64_t credit_bytes = 0;
};
struct Credited {
  ConnectionId connection = 0;
  RequestId request;
  int64_t bytes = 0;
};
struct GroupReady {
  GroupShape shape;
};
struct GroupLost {
  GroupId group = 0;
  uint64_t epoch = 0;
  Status cause;
};
struct StepDone {
  GroupId group = 0;
  StepResult result;
};
struct ProbeArrived {
  GroupId group = 0;
  Probe probe;
};
struct Durable {
  uint64_t sequence = 0;
};               // all records up to `sequence` are durable
struct Tick {};  // next_tick_us() has come: deadlines, unread streams
}  // namespace event

using Event = std::variant<event::Submitted,
                           event::Cancelled,
                           event::Disconnected,
                           event::Resumed,
                           event::Credited,
                           event::GroupReady,
                           event::GroupLost,
                           event::StepDone,
                           event::ProbeArrived,
                           event::Durable,
                           event::Tick>;

enum class FinishReason : uint8_t { kStop, kLength, kCancelled, kError };

namespace effect {
// To the client. A refused request has no id, only the client's tag.
struct Accept {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  uint64_t seed = 0;
  int32_t prompt_tokens = 0;
  bool repeated = false;  // the idempotency key was known: `request` is the earlier one
};
struct Refuse {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  Status status;
  int64_t retry_after_ms = 0;  // 0: the same request would be refused again
};
struct Tokens {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  int32_t choice = 0;
  int32_t first_index = 0;
  std::vector<TokenId> ids;
  std::string text;
  std::vector<LogprobEntry> logprobs;
};
struct PromptLogprobs {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  std::vector<LogprobEntry> entries;
};
struct ProbeValues {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  Probe probe;
};
struct Finish {  // of one choice
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  int32_t choice = 0;
  FinishReason reason = FinishReason::kStop;
  std::string stop_string;  // that matched, or ""
  std::optional<TokenId> stop_token;
  std::string text;  // rest that was held for a stop string
  Status error;      // kError
  int32_t prompt_tokens = 0;
  int32_t output_tokens = 0;
  int32_t cached_tokens = 0;
  int64_t queued_us = 0;
  int64_t first_token_us = 0;
  int64_t total_us = 0;
  bool last_choice = false;  // the request is over
  bool invariant = true;
};
// To a group.
struct SendPlan {
  GroupId group = 0;
  StepPlan plan;
};
// To the journal: one record per event that promises something. The promised effects follow after
// Durable(sequence).
struct Append {
  uint64_t sequence = 0;
  std::string record;
};
}  // namespace effect

using Effect = std::variant<effect::Accept,
                            effect::Refuse,
                            effect::Tokens,
                            effect::PromptLogprobs,
                            effect::ProbeValues,
                            effect::Finish,
                            effect::SendPlan,
                            effect::Append>;

}  // namespace trireme

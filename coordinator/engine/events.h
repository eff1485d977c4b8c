// Events, the Engine's inputs, and effects, its outputs. Plain values: the doors convert them from
// and to frames, the journal to records; the simulation makes them up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/engine/records.h"
#include "coordinator/engine/submit_request.h"
#include "model/chat/answer/answer_part.h"
#include "model/step_plan.h"

namespace trireme {

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

// Resumed::next_index of a choice whose end the client has seen, AnswerPoint::index of its end;
// equal to door::kEndedIndex.
inline constexpr int32_t kEndedIndex = -1;

// A place in an answer: before the token `index` of a choice, or behind its end.
struct AnswerPoint {
  int32_t choice = 0;
  int32_t index = 0;
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
struct Blocked {  // the connection takes no frame now: nothing more is sent to its streams
  ConnectionId connection = 0;
};
struct Writable {  // it takes frames: again, or still with more to send (Engine::take_behind)
  ConnectionId connection = 0;
};
struct Resumed {  // a client asks to continue an answer on this connection
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  uint64_t nonce = 0;
  std::vector<int32_t> next_index;  // per choice: the first token that it lacks; kEndedIndex
  int64_t credit_bytes = 0;
  std::vector<AnswerPoint> points;  // see Stream
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
  int64_t crashed_step = 0;  // in which a rank got a fatal signal; 0: none did
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
};                      // all records up to `sequence` are durable
struct JournalFailed {  // nothing will become durable any more
  Status cause;
};
struct Restored {  // the first event: what the journal of an earlier coordinator holds
  std::vector<RestoredRequest> requests;
};
struct Tick {};  // next_tick_us() has come: deadlines, times to live, progress reports
}  // namespace event

using Event = std::variant<event::Submitted,
                           event::Cancelled,
                           event::Disconnected,
                           event::Blocked,
                           event::Writable,
                           event::Resumed,
                           event::Credited,
                           event::GroupReady,
                           event::GroupLost,
                           event::StepDone,
                           event::ProbeArrived,
                           event::Durable,
                           event::JournalFailed,
                           event::Restored,
                           event::Tick>;

// The bytes of a token and of the most probable ones beside it.
struct TokenBytes {
  std::string token;
  std::vector<std::string> top;
};

namespace effect {
// To the client, once their record is durable. A refused request has no id, only the client's tag.
struct Accept {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  uint64_t seed = 0;
  int32_t prompt_tokens = 0;
  bool repeated = false;            // the idempotency key was known: `request` is the earlier one
  std::vector<TokenId> prompt_ids;  // where the request wants them
  std::string client_state;         // of a repeated one
};
struct Refuse {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  Status status;
  int64_t retry_after_ms = 0;  // 0: the same request would be refused again
  uint64_t nonce = 0;          // of a stream that another took over: the nonce that won
};
struct Tokens {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  int32_t choice = 0;
  int32_t first_index = 0;
  std::vector<TokenId> ids;
  std::string text;        // empty where there are parts
  int32_t echo_bytes = 0;  // of text, at its beginning: the prompt's
  std::vector<LogprobEntry> logprobs;
  std::vector<TokenBytes> token_bytes;  // empty, or parallel to logprobs
  std::vector<AnswerPart> parts;
};
struct Progress {  // of a stream to which nothing else was sent for an interval
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  int32_t queue_position = 0;  // 1: the next one; 0: it runs
  int32_t prompt_done = 0;
  int32_t prompt_tokens = 0;
};
struct PromptLogprobs {
  ConnectionId connection = 0;
  uint64_t client_tag = 0;
  RequestId request;
  std::vector<LogprobEntry> entries;
  std::vector<TokenBytes> token_bytes;  // empty, or parallel to entries
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
  std::string text;               // rest that was held for a stop string
  std::vector<AnswerPart> parts;  // the same of an answer in parts; text is empty
  Status error;                   // kError
  int32_t prompt_tokens = 0;
  int32_t output_tokens = 0;
  int32_t cached_tokens = 0;
  int32_t reasoning_tokens = 0;
  int64_t tokenize_us = 0;  // from arrival to submission
  int64_t queued_us = 0;    // from arrival to admission into a group
  int64_t prefill_us = 0;   // from admission to the first token
  int64_t first_token_us = 0;
  int64_t total_us = 0;
  bool last_choice = false;  // the request is over
  bool invariant = true;
};
// To a group.
struct SendPlan {
  GroupId group = 0;
  StepPlan plan;
  bool is_canary = false;  // it only tests the group
};
// To the journal: one record per event that changes what must not be lost. Clients are told of it
// after Durable(sequence).
struct Append {
  uint64_t sequence = 0;
  Record record;
};
}  // namespace effect

using Effect = std::variant<effect::Accept,
                            effect::Refuse,
                            effect::Tokens,
                            effect::Progress,
                            effect::PromptLogprobs,
                            effect::ProbeValues,
                            effect::Finish,
                            effect::SendPlan,
                            effect::Append>;

}  // namespace trireme

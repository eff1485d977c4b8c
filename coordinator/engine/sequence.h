// Request state: a request and its sequences, one per choice. Plain data; the Engine is the only
// writer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine/events.h"
#include "coordinator/engine/page_pool.h"
#include "coordinator/engine/stop_text.h"
#include "model/tokenizer/detokenizer.h"

namespace trireme {

struct Request;

enum class SequenceState : uint8_t {
  kWaiting,   // in the queue, without slot or pages
  kRunning,   // has a slot
  kLeaving,   // preempted: plans in flight are still committed, then it waits again
  kEnding,    // its last id is committed; text and Finish follow within the same event
  kFinished,  // over; slot and pages return with the last plan and probe in flight
};

struct Sequence {
  Request* request = nullptr;
  int32_t choice = 0;
  uint64_t arrival = 0;
  SequenceState state = SequenceState::kWaiting;

  std::vector<TokenId> ids;  // prompt, then emitted
  int32_t computed = 0;      // tokens whose KV is computed or planned
  int32_t draws_in_flight = 0;
  int32_t plans_in_flight = 0;  // plans that name this sequence
  int32_t probes_in_flight = 0;
  int64_t last_draw_step = 0;
  int32_t cohort = 0;
  GroupId group = -1;
  SlotId slot = -1;
  std::vector<PageId> pages;
  int32_t published = 0;      // leading pages that the pool knows by key
  PageKey parent;             // of the next page to publish
  std::vector<PageKey> keys;  // while it waits: of its full pages of `keys_page_tokens` tokens
  int32_t keys_page_tokens = 0;
  int32_t cached_tokens = 0;
  bool opened = false;  // a plan has opened the slot

  std::optional<Detokenizer> detokenizer;
  StopText stop_text;
  std::vector<LogprobEntry> new_logprobs;  // of the step being committed
  int32_t num_sent = 0;                    // emitted ids that were sent to the client
  std::string text;                        // all text sent; only with an idempotency key
  std::optional<effect::Finish> ending;    // its Finish; only with an idempotency key
};

struct Request {
  RequestId id;
  SubmitRequest submit;  // its prompt is moved into the sequences
  int32_t num_prompt = 0;
  uint64_t seed = 0;
  SamplingParams sampling;  // end_ids filled in where min_tokens needs them
  std::vector<std::unique_ptr<Sequence>> sequences;
  int32_t num_unfinished = 0;
  int64_t credit_bytes = 0;
  TimeUs unread_since_us = 0;        // when the credit was used up; undefined while there is credit
  int32_t probe_values_missing = 0;  // probes whose last piece has not arrived
  int32_t asked = 0;                 // scores and probes before this position are requested
  bool is_kept = false;              // over, and kept for its idempotency key
  bool prompt_done = false;          // the last chunk of the prompt is planned
  bool invariant = true;
  std::string compatibility;  // of the group on which it first ran
  TimeUs submitted_us = 0;
  TimeUs admitted_us = 0;
  TimeUs first_token_us = 0;

  int32_t num_output(const Sequence& sequence) const {
    return static_cast<int32_t>(sequence.ids.size()) - num_prompt;
  }
  bool scores_prompt() const {
    return submit.kind == RequestKind::kScore || submit.params.num_prompt_logprobs >= 0;
  }
  bool generates() const { return submit.kind == RequestKind::kGenerate; }
  bool may_use_cache() const { return generates() && !scores_prompt() && submit.probes.empty(); }
};

}  // namespace trireme

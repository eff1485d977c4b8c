// A request and its sequences (one per choice), as the Engine keeps them. Plain state with no rules
// of its own: the Engine is the only writer.
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
  kLeaving,   // preempted: commits what is in flight, then waits again
  kEnding,    // its last id is committed; its text and its Finish follow in the same event
  kFinished,  // its answer is over; slot and pages return with the last plan and probe that name it
};

struct Sequence {
  Request* request = nullptr;
  int32_t choice = 0;
  uint64_t arrival = 0;
  SequenceState state = SequenceState::kWaiting;

  std::vector<TokenId> ids;  // prompt, then emitted
  int32_t computed = 0;      // tokens whose KV is planned or there
  int32_t draws_in_flight = 0;
  int32_t plans_in_flight = 0;  // that name it
  int32_t probes_in_flight = 0;
  int64_t last_draw_step = 0;
  int32_t cohort = 0;
  GroupId group = -1;
  SlotId slot = -1;
  std::vector<PageId> pages;
  int32_t published = 0;      // pages from the first that the pool knows by content
  PageKey parent;             // of the next page to publish
  std::vector<PageKey> keys;  // while it waits: of its full pages, of `keys_page_tokens` each
  int32_t keys_page_tokens = 0;
  int32_t cached_tokens = 0;
  bool opened = false;  // a plan has told the group of this slot

  std::optional<Detokenizer> detokenizer;
  StopText stop_text;
  std::vector<LogprobEntry> new_logprobs;  // of the step being committed
  int32_t num_sent = 0;                    // emitted ids that went to the client
  std::string text;                        // all that was released; kept for keyed requests only
  std::optional<effect::Finish> ending;    // what was said last; kept for keyed requests only
};

struct Request {
  RequestId id;
  SubmitRequest submit;  // its prompt is moved into the sequences
  int32_t num_prompt = 0;
  uint64_t seed = 0;
  SamplingParams sampling;  // with the end ids of min_tokens
  std::vector<std::unique_ptr<Sequence>> sequences;
  int32_t num_unfinished = 0;
  int64_t credit_bytes = 0;
  TimeUs unread_since_us = 0;  // when the credit was used up; means nothing while there is some
  int32_t probe_values_missing = 0;  // probes of which not all pieces came
  int32_t asked = 0;                 // positions before it have been planned with scores and probes
  bool is_kept = false;              // over, and kept for its key
  bool prompt_done = false;          // score and probe: the whole prompt is computed
  bool invariant = true;
  std::string compatibility;  // of the group it first ran on
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

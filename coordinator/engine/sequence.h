// Request state: a request and its sequences, one per choice. Plain data; the Engine is the only
// writer.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine/answer.h"
#include "coordinator/engine/answer_text.h"
#include "coordinator/engine/events.h"
#include "coordinator/engine/scheduling/page_pool.h"
#include "coordinator/engine/stream.h"

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
  bool comes_back = false;  // WaitingQueue: it has run before, or waited under another coordinator
  int64_t fair_start = 0;   // WaitingQueue: its place among the shares of its priority
  int64_t fair_tokens = 0;  // WaitingQueue: what its share was charged for it
  uint64_t fair_class = 0;  // WaitingQueue: by which object

  std::vector<TokenId> ids;  // prompt, then emitted
  int32_t first_output = 0;  // index of the first emitted id; 0 once the prompt is released
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

  std::optional<AnswerText> answer_text;   // while it is generated; nothing without a tokenizer
  std::vector<LogprobEntry> new_logprobs;  // of the step being committed
  Answer answer;
};

constexpr int64_t kAllProbeValues = -1;

struct Request {
  RequestId id;
  SubmitRequest submit;  // its prompt is moved into the sequences
  int32_t num_prompt = 0;
  uint64_t seed = 0;
  SamplingParams sampling;  // end_ids filled in where min_tokens needs them
  std::vector<std::unique_ptr<Sequence>> sequences;
  int32_t num_unfinished = 0;
  bool accepted_durable = false;
  bool is_forgotten = false;  // cancelled: it goes with its ends, and its key is free
  bool is_over = false;       // all choices have ended and hold nothing; kept for its readers
  bool is_read = false;       // a stream has seen all ends
  bool had_values = false;    // has_values(), when it is over

  std::optional<Stream> stream;
  uint64_t nonce = 0;            // of the last stream
  TimeUs stream_arrived_us = 0;  // of the message that opened it
  TimeUs cancel_due_us = 0;      // its client is gone, and may be back by then; 0: not awaited
  TimeUs unread_since_us = 0;    // when the credit was used up; undefined while there is credit
  // Log-probabilities and probe values of the prompt that wait for credit. Without credit no more
  // of the prompt is computed, so that they are few.
  std::deque<Effect> values;
  int32_t scored = 0;                 // log-probabilities before this position have arrived
  std::vector<int64_t> probe_values;  // per probe: how many have arrived, or kAllProbeValues
  int32_t probe_values_missing = 0;   // probes whose last piece has not arrived
  bool prompt_done = false;           // the last chunk of the prompt is planned

  bool has_room = false;      // the journal has room for all that it may generate
  int64_t waiting_bytes = 0;  // its share of the Engine's count
  bool invariant = true;
  int32_t crashes = 0;        // of ranks, in steps with it; counted while they are few
  bool runs_alone = false;    // a suspect: only in steps of its own
  int32_t alone_tokens = 0;   // drawn in those since it became one
  std::string compatibility;  // of the group on which it first ran
  bool bound_recorded = false;
  TimeUs arrived_us = 0;    // of its frame
  TimeUs submitted_us = 0;  // to the Engine: its prompt was tokenized
  TimeUs ended_us = 0;      // the last end of a choice
  TimeUs admitted_us = 0;
  TimeUs first_token_us = 0;
  TimeUs last_sent_us = 0;     // to the client
  TimeUs progress_due_us = 0;  // when a Progress may be due; 0: never

  // Tokens that its choice needs room for to be admitted: those that it has and, if it generates,
  // the next one.
  int32_t num_to_hold(const Sequence& sequence) const {
    return static_cast<int32_t>(sequence.ids.size()) + (generates() ? 1 : 0);
  }
  int32_t num_output(const Sequence& sequence) const {
    return static_cast<int32_t>(sequence.ids.size()) - sequence.first_output;
  }
  bool scores_prompt() const {
    return submit.kind == RequestKind::kScore || submit.params.num_prompt_logprobs >= 0;
  }
  bool generates() const { return submit.kind == RequestKind::kGenerate; }
  bool has_values() const { return scores_prompt() || !submit.probes.empty(); }
  // It has ended, and the values of its prompt are not kept: nobody can read its answer again.
  bool has_lost_values() const {
    return is_over ? had_values : num_unfinished == 0 && has_values();
  }
  // The choice whose prompt gives the values: the first that has not ended. Null: all have.
  Sequence* source_of_values() const {
    for (const auto& sequence : sequences) {
      if (sequence->state != SequenceState::kFinished) return sequence.get();
    }
    return nullptr;
  }
  bool may_use_cache() const { return generates() && !has_values(); }
  // More of its prompt may be computed: somebody takes the values that come with it.
  bool may_compute() const {
    return prompt_done || !has_values() || (stream && stream->credit_bytes > 0);
  }
};

}  // namespace trireme

// One step: what the coordinator tells a group to compute, and what comes back.
// Counts in a plan are upper bounds; the result settles them. Lists are flat and deltas only, so
// that the bytes of a step grow with the requests in it and never with their contexts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/sampling_params.h"
#include "model/token.h"

namespace trireme {

using SlotId = int32_t;  // a request's stable row in its group
using PageId = int32_t;

// Every message between coordinator and group carries these; anything stale is dropped.
struct Epochs {
  uint64_t coordinator = 0;
  uint64_t group = 0;
  bool operator==(const Epochs&) const = default;
};

// Names the recording that serves a step on CUDA: buckets of what the ranks announced, zeros for a
// step that none serves. The CPU ignores it.
struct GraphKey {
  int32_t token_bucket = 0;
  int32_t row_bucket = 0;
  bool decode_only = false;
  bool operator==(const GraphKey&) const = default;
};

// The next known tokens of a slot, at absolute positions start, start + 1, ....
// `start` is checked by the worker, not used: the slot's computed length is authoritative.
struct Chunk {
  SlotId slot = 0;
  int32_t start = 0;
  bool sample = false;  // draw the token after the last one
  std::vector<TokenId> ids;
  bool operator==(const Chunk&) const = default;
};

struct Verify {  // speculated tokens; always empty now
  SlotId slot = 0;
  int32_t count = 0;
  bool operator==(const Verify&) const = default;
};

struct PageGrant {  // appended to the slot's page row
  SlotId slot = 0;
  PageId page = 0;
  bool operator==(const PageGrant&) const = default;
};

struct PageCopy {
  PageId from = 0;
  PageId to = 0;
  bool operator==(const PageCopy&) const = default;
};

// A slot starts a new request. Its cached pages come as grants of the same plan.
struct OpenedSlot {
  SlotId slot = 0;
  uint64_t seed = 0;
  uint32_t choice = 0;
  SamplingParams sampling;
  int32_t computed = 0;          // tokens whose KV already lies in granted pages
  int32_t num_prompt = 0;        // tokens of the prompt; what is known beyond them was emitted
  int32_t num_emitted = 0;       // tokens already emitted: the index of the next draw
  std::vector<TokenId> history;  // the ids before `computed`, only if a penalty needs them
  bool operator==(const OpenedSlot&) const = default;
};

// Asks for the log-probability of `next_id` after the token at `position`, and the top N there.
struct ScoreRequest {
  SlotId slot = 0;
  int32_t position = 0;
  TokenId next_id = 0;
  int32_t num_top = 0;
  bool operator==(const ScoreRequest&) const = default;
};

// Asks for the logits (layer -1) or the output of a layer (0: the embedding, l: layer l, the last
// one after the final norm) at a position computed in this step.
struct ProbeRequest {
  SlotId slot = 0;
  int32_t position = 0;
  int32_t layer = -1;
  bool operator==(const ProbeRequest&) const = default;
};

// The work of one data-parallel rank. Executed in this order: closed, opened, grants, copies,
// tokens.
struct StepPart {
  std::vector<SlotId> closed;
  std::vector<OpenedSlot> opened;
  std::vector<PageGrant> grants;
  std::vector<PageCopy> copies;
  std::vector<SlotId> decodes;  // one token each: the slot's last drawn id
  std::vector<Chunk> chunks;
  std::vector<Verify> verifies;
  std::vector<ScoreRequest> scores;
  std::vector<ProbeRequest> probes;
  bool operator==(const StepPart&) const = default;
};

struct StepPlan {
  Epochs epochs;
  int64_t step = 0;              // 1, 2, 3, ... within an epoch
  int64_t wait_ids_through = 0;  // stage 0 needs the ids of all steps up to this one; 0: none
  GraphKey graph_key;
  bool late = false;            // a StepLate follows
  std::vector<StepPart> parts;  // one per data-parallel rank; one now
  bool operator==(const StepPlan&) const = default;
};

struct TokenAndLogprob {
  TokenId id = -1;
  float logprob = 0;
  bool operator==(const TokenAndLogprob&) const = default;
};

// One position's log-probabilities: the token's own, then the top N.
struct LogprobEntry {
  SlotId slot = 0;
  int32_t position = 0;  // of the token that the entry speaks of
  TokenAndLogprob token;
  std::vector<TokenAndLogprob> top;
  bool operator==(const LogprobEntry&) const = default;
};

// A request that failed inside a step; the others of the step are fine.
struct SlotFailure {
  SlotId slot = 0;
  std::string message;  // "TRI-...: ..."
  bool operator==(const SlotFailure&) const = default;
};

// For every plan, even an empty one. slots[i] drew counts[i] ids; `ids` holds them one after
// another.
struct StepResult {
  Epochs epochs;
  int64_t step = 0;
  std::vector<SlotId> slots;
  std::vector<int32_t> counts;
  std::vector<TokenId> ids;
  std::vector<LogprobEntry> logprobs;  // of drawn tokens, for slots that asked
  std::vector<LogprobEntry> scores;
  std::vector<SlotFailure> failures;
  int64_t compute_us = 0;  // of the answering rank
  int64_t waited_us = 0;   // for other stages, ids and plans
  bool operator==(const StepResult&) const = default;
};

// The answer to one ProbeRequest, in pieces of at most kMaxProbeBytes.
constexpr int64_t kMaxProbeBytes = 512 * 1024;
struct Probe {
  Epochs epochs;
  int64_t step = 0;
  SlotId slot = 0;
  int32_t position = 0;
  int32_t layer = -1;
  int64_t offset = 0;      // of this piece, in values
  int64_t num_values = 0;  // of the whole row
  std::vector<float> values;
  bool operator==(const Probe&) const = default;
};

}  // namespace trireme

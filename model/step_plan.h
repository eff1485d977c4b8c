// One step: the plan that the coordinator sends to a group, and the result that comes back. Plain
// values. Counts in a plan are upper bounds; the result gives the exact ones. A plan holds deltas
// in flat lists only, so that its size grows with the number of requests in the step and not with
// their context lengths.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/sampling_params.h"
#include "model/token.h"

namespace trireme {

using SlotId = int32_t;  // the stable row of a request in its group
using PageId = int32_t;

// Carried by every message between coordinator and group; a receiver drops a message of an old
// epoch. Ordered: first by the coordinator, whose epoch grows with each of its starts on one
// journal.
struct Epochs {
  uint64_t coordinator = 0;
  uint64_t group = 0;
  bool operator==(const Epochs&) const = default;
  bool operator<(const Epochs& other) const {
    return std::pair(coordinator, group) < std::pair(other.coordinator, other.group);
  }
};

// Key of the captured graph that executes a step on CUDA: buckets out of those that the ranks
// announced, or zeros for a step that runs without a graph. The CPU ignores it.
struct GraphKey {
  int32_t token_bucket = 0;
  int32_t row_bucket = 0;
  bool decode_only = false;
  bool operator==(const GraphKey&) const = default;
};

// The next known tokens of a slot, at absolute positions start, start + 1, ....
// The worker only checks `start`: it knows the computed length of the slot.
struct Chunk {
  SlotId slot = 0;
  int32_t start = 0;
  bool sample = false;  // sample the token after the last one
  std::vector<TokenId> ids;
  bool operator==(const Chunk&) const = default;
};

struct Verify {  // speculated tokens; reserved: no plan has any
  SlotId slot = 0;
  int32_t count = 0;
  bool operator==(const Verify&) const = default;
};

struct PageGrant {  // appends a page to the page-table row of the slot
  SlotId slot = 0;
  PageId page = 0;
  bool operator==(const PageGrant&) const = default;
};

struct PageCopy {
  PageId from = 0;
  PageId to = 0;
  bool operator==(const PageCopy&) const = default;
};

// A slot begins a request. Its cached pages are granted in the same plan.
struct OpenedSlot {
  SlotId slot = 0;
  uint64_t seed = 0;
  uint32_t choice = 0;
  SamplingParams sampling;
  int32_t computed = 0;          // tokens whose KV is already in granted pages
  int32_t num_prompt = 0;        // tokens of the prompt; known tokens after them were emitted
  int32_t num_emitted = 0;       // tokens already emitted; the index of the next draw
  std::vector<TokenId> history;  // the ids before `computed`, only if a penalty needs them
  bool operator==(const OpenedSlot&) const = default;
};

// Requests the log-probability of `next_id` after the token at `position`, and the top N there.
struct ScoreRequest {
  SlotId slot = 0;
  int32_t position = 0;
  TokenId next_id = 0;
  int32_t num_top = 0;
  bool operator==(const ScoreRequest&) const = default;
};

// Requests the logits (layer -1) or the output of a layer (0: the embedding, l: layer l, the last
// one after the final norm) at a position that this step computes.
struct ProbeRequest {
  SlotId slot = 0;
  int32_t position = 0;
  int32_t layer = -1;
  bool operator==(const ProbeRequest&) const = default;
};

// The work of a step, executed in this order: closed, opened, grants, copies,
// tokens.
struct StepPart {
  std::vector<SlotId> closed;
  std::vector<OpenedSlot> opened;
  std::vector<PageGrant> grants;
  std::vector<PageCopy> copies;
  std::vector<SlotId> decodes;  // one token each: the last sampled id of the slot
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
  std::vector<StepPart> parts;  // reserved for several per plan; always one
  // Every rank has received the plans up to this step: none need be kept for a later coordinator.
  int64_t retired_through = 0;
  bool operator==(const StepPlan&) const = default;
};

// Log-probabilities at one position: of the token itself, then the top N.
struct LogprobEntry {
  SlotId slot = 0;
  int32_t position = 0;  // of `token`
  TokenAndLogprob token;
  std::vector<TokenAndLogprob> top;
  bool operator==(const LogprobEntry&) const = default;
};

// A request that failed within a step. The other requests of the step are not affected.
struct SlotFailure {
  SlotId slot = 0;
  std::string message;  // "TRI-...: ..."
  bool operator==(const SlotFailure&) const = default;
};

// One result per plan, even for an empty one. slots[i] sampled counts[i] ids; `ids` concatenates
// them.
struct StepResult {
  Epochs epochs;
  int64_t step = 0;
  std::vector<SlotId> slots;
  std::vector<int32_t> counts;
  std::vector<TokenId> ids;
  std::vector<LogprobEntry> logprobs;  // of sampled tokens, for slots that requested them
  std::vector<LogprobEntry> scores;
  std::vector<SlotFailure> failures;
  int64_t compute_us = 0;  // of the answering rank
  int64_t waited_us = 0;   // waiting for other stages, ids and plans
  bool operator==(const StepResult&) const = default;
};

// A piece of the answer to one ProbeRequest: at most kMaxProbeBytes of values.
constexpr int64_t kMaxProbeBytes = 512 * 1024;
struct Probe {
  Epochs epochs;
  int64_t step = 0;
  SlotId slot = 0;
  int32_t position = 0;
  int32_t layer = -1;
  int64_t offset = 0;      // of this piece, in values
  int64_t num_values = 0;  // length of the whole row
  std::vector<float> values;
  bool operator==(const Probe&) const = default;
};

}  // namespace trireme

// Messages between a rank and the coordinator besides StepPlan, StepResult and Probe
// (model/step_plan.h). Plain values; step_codec.h converts them to frames. docs/formats.md explains
// the conversation: Heartbeat*, RankHello, <- Start, RankStarted, (<- StepPlan, StepResult)*.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

// The KvLayout of a rank as it announces it. The coordinator compares it between ranks.
struct KvLayoutInfo {
  int32_t version = 1;
  std::string dtype;
  int32_t page_tokens = 0;
  int32_t head_dim = 0;
  int32_t unit = 0;
  int32_t v_order = 0;
  int32_t scale_bytes = 0;
  bool operator==(const KvLayoutInfo&) const = default;
};

constexpr size_t kJournalIdBytes = 16;

// The life that a rank has had under a coordinator that has ended since.
struct PreviousLife {
  std::string journal_id;  // of its Start: kJournalIdBytes
  Epochs epochs;
  int64_t step_received = 0;   // the last plan that has come; 0: none
  int64_t step_completed = 0;  // the last step whose work is done on this rank
  bool operator==(const PreviousLife&) const = default;
};

// The rank has loaded its shard, allocated its pages and waits for Start. All ranks of a group
// agree in all fields but rank, host, pid, pages and previous_life. Sent again on each new
// connection.
struct RankHello {
  int32_t group = 0;
  int32_t rank = 0;
  std::string host;
  int64_t pid = 0;
  int32_t tp = 1;
  int32_t pp = 1;
  std::string fingerprint;
  std::string dtype;
  std::string quantization = "none";
  bool invariant = true;
  std::string backend;  // cpu, cuda
  std::string isa;      // instruction set, or device and library
  KvLayoutInfo kv_layout;
  int64_t pages = 0;
  int32_t max_slots = 0;
  int32_t max_batched_tokens = 0;
  int32_t max_model_len = 0;
  std::vector<int32_t> token_buckets;
  std::vector<int32_t> row_buckets;
  std::optional<PreviousLife> previous_life;  // nothing before the first Start
  bool operator==(const RankHello&) const = default;
};

// A life of the group begins: use the first `pages` of the KV pages, which were allocated before
// RankHello (all ranks use as many as the smallest has), answer RankStarted, expect step 1. A rank
// that has lived forgets slots, draws and the content of its pages first.
struct Start {
  Epochs epochs;
  int64_t pages = 0;
  std::string journal_id;  // "": there is no journal, and the ranks end with their coordinator
  bool operator==(const Start&) const = default;
};

struct RankStarted {
  Epochs epochs;
  bool operator==(const RankStarted&) const = default;
};

enum class Phase : uint8_t {
  kStarting,
  kLoading,
  kWarming,
  kWaitStart,
  kIdle,
  kCompute,
  kWaitStage,
  kWaitIds,
  kWaitTensor,
};
// True: the rank waits for another rank or for the coordinator, so it is not the one that hangs.
constexpr bool waits_for_others(Phase phase) {
  return phase == Phase::kWaitStage || phase == Phase::kWaitIds || phase == Phase::kWaitTensor ||
         phase == Phase::kWaitStart || phase == Phase::kIdle;
}
std::string_view name_of(Phase phase);  // "loading", "waiting for a stage", ...

// Period of the Heartbeats of a rank, from process start. The first one introduces the rank.
constexpr int64_t kHeartbeatIntervalUs = 500'000;

struct Heartbeat {
  Epochs epochs;  // zeros until Start
  int32_t group = 0;
  int32_t rank = 0;
  int32_t tp = 1;
  int32_t pp = 1;
  std::string host;
  int64_t pid = 0;
  uint64_t progress = 0;  // incremented after every op
  Phase phase = Phase::kStarting;
  int64_t step = 0;
  int64_t load_bytes = 0;
  int64_t load_total_bytes = 0;
  int64_t step_completed = 0;  // the last step whose work is done on this rank
  bool operator==(const Heartbeat&) const = default;
};

// The rank is about to exit, for `cause`.
struct Goodbye {
  Epochs epochs;
  int32_t group = 0;
  int32_t rank = 0;
  std::string host;
  std::string cause;    // "TRI-...: ..."
  bool memory = false;  // the cause is a lack of memory
  int32_t signal = 0;   // that ends the process; 0: it ends by itself
  int64_t step = 0;     // in execution when the signal came; 0: none was
  bool operator==(const Goodbye&) const = default;
};

// The epoch of the group is over: the rank exits at once, or in order if the cluster has drained.
struct Fence {
  Epochs epochs;
  std::string cause;
  bool drained = false;  // orderly shutdown: the rank executes the received plans, then exits
  bool operator==(const Fence&) const = default;
};

// Token masks for the rows of a plan marked `late`. Reserved: not sent yet.
struct StepLate {
  Epochs epochs;
  int64_t step = 0;
  std::vector<SlotId> slots;
  std::vector<std::string> masks;  // one bit per token id, lowest first
  bool operator==(const StepLate&) const = default;
};

// To the rank that has received most plans of a life whose coordinator has ended: send back those
// of these steps, for ranks that lack them.
struct RecallPlans {
  Epochs epochs;  // of that life
  int64_t first_step = 0;
  int64_t last_step = 0;
  bool operator==(const RecallPlans&) const = default;
};

struct KeptPlan {
  Epochs epochs;
  int64_t step = 0;
  std::string frame;  // the whole frame of a StepPlan, as it came
  bool operator==(const KeptPlan&) const = default;
};

using RankMessage =
    std::variant<RankHello, RankStarted, Heartbeat, StepResult, Probe, Goodbye, KeptPlan>;
using CoordinatorMessage = std::variant<Start, StepPlan, StepLate, Fence, RecallPlans>;

}  // namespace trireme

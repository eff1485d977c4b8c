// A group without a model: executes plans against slots and pages as a worker would, checks every
// plan, and draws pseudo-tokens from a hash of everything before them, so that any wrong history,
// position or page shows as another token.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/engine/events.h"
#include "model/step_plan.h"

namespace trireme {

// The token that follows a prefix of this hash.
TokenId pseudo_token(
    uint64_t seed, uint32_t choice, int32_t index, uint64_t prefix_hash, int32_t vocabulary);
uint64_t extend_hash(uint64_t prefix_hash, TokenId id);

// The first `count` tokens that a request alone on an ideal cluster would get, without any end.
std::vector<TokenId> expected_tokens(const std::vector<TokenId>& prompt,
                                     uint64_t seed,
                                     uint32_t choice,
                                     int32_t count,
                                     int32_t vocabulary);

// Answers that are laid down beforehand, by the seed of their request: every choice draws these ids
// and then the pseudo-random ones.
using AnswerScripts = std::map<uint64_t, std::vector<TokenId>>;

class FakeGroup {
 public:
  // `scripts`: null, or it outlives the group.
  FakeGroup(const GroupShape& shape, int32_t vocabulary, const AnswerScripts* scripts = nullptr);

  // Executes one plan; its result. A plan that no worker could execute adds to problems().
  StepResult execute(const StepPlan& plan);
  // The probe values that the last plan asked for: the prefix hash, as one float.
  std::vector<Probe> take_probes() { return std::move(probes_); }

  // The seeds of the requests that a plan computes, which has been executed.
  std::set<uint64_t> seeds_of(const StepPlan& plan) const;

  const std::vector<std::string>& problems() const { return problems_; }
  int64_t steps() const { return last_step_; }
  int32_t open_slots() const;

 private:
  struct Slot {
    bool open = false;
    OpenedSlot opened;
    std::vector<PageId> pages;
    int32_t computed = 0;
    int32_t drawn = 0;
    TokenId last_drawn = -1;
    int64_t last_draw_step = 0;
  };
  struct Cell {  // of one token in a page: the prefix hash before and after it
    uint64_t before = 0;
    uint64_t after = 0;
  };

  void problem(const std::string& text);
  void open(const OpenedSlot& opened);
  bool compute(Slot& slot, TokenId id);
  uint64_t hash_at(const Slot& slot, int32_t position);  // after that token, read from the pages
  TokenId next_token(const Slot& slot, uint64_t hash) const;
  void draw(const StepPlan& plan, SlotId id, StepResult& result);
  void answer_probes(const StepPlan& plan, const StepPart& part);
  void answer_scores(const StepPart& part, StepResult& result);

  GroupShape shape_;
  int32_t vocabulary_;
  const AnswerScripts* const scripts_;
  std::vector<Slot> slots_;
  std::vector<std::vector<Cell>> pages_;
  int64_t last_step_ = 0;
  std::vector<Probe> probes_;
  std::vector<std::string> problems_;
};

}  // namespace trireme

#include "tests/cluster/scripted_plans.h"

#include <algorithm>

namespace trireme {
namespace {

class Script {
 public:
  Script(const std::vector<ScriptedRequest>& requests, const ScriptLimits& limits)
      : requests_(requests), limits_(limits), states_(requests.size()) {
    for (size_t i = 0; i < requests.size(); ++i) states_[i].computed = requests[i].cached_tokens;
  }

  std::vector<StepPlan> make(int64_t first_step);

 private:
  struct State {
    bool open = false;
    int32_t computed = 0;
    int32_t drawn = 0;
    std::vector<PageId> pages;
  };

  bool is_done(size_t i) const { return states_[i].drawn >= requests_[i].new_tokens; }
  void open(size_t i, StepPart& part);
  void cover(size_t i, int32_t tokens, StepPart& part);
  int32_t add_tokens(size_t i, int32_t budget, StepPart& part);
  void add_probes(size_t i, int32_t begin, int32_t end, bool draws, StepPart& part);

  const std::vector<ScriptedRequest>& requests_;
  const ScriptLimits limits_;
  std::vector<State> states_;
  PageId next_page_ = 0;
};

std::vector<StepPlan> Script::make(int64_t first_step) {
  std::vector<StepPlan> plans;
  for (int32_t round = 0;; ++round) {
    bool all_done = true;
    StepPart part;
    int32_t budget = limits_.max_batched_tokens;
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (is_done(i)) continue;
      all_done = false;
      if (static_cast<int32_t>(i) % limits_.cohorts != round % limits_.cohorts) continue;
      if (round < requests_[i].start_step) continue;
      budget -= add_tokens(i, budget, part);
    }
    StepPlan plan;
    plan.step = first_step + static_cast<int64_t>(plans.size());
    plan.wait_ids_through = std::max<int64_t>(0, plan.step - (all_done ? 1 : limits_.cohorts));
    if (all_done) {
      for (size_t i = 0; i < requests_.size(); ++i) part.closed.push_back(static_cast<SlotId>(i));
    }
    plan.parts.push_back(std::move(part));
    plans.push_back(std::move(plan));
    if (all_done) return plans;
  }
}

void Script::open(size_t i, StepPart& part) {
  const ScriptedRequest& request = requests_[i];
  State& state = states_[i];
  state.open = true;
  OpenedSlot opened;
  opened.slot = static_cast<SlotId>(i);
  opened.seed = request.seed;
  opened.sampling = request.sampling;
  opened.computed = request.cached_tokens;
  opened.num_prompt = static_cast<int32_t>(request.prompt.size()) - request.num_emitted;
  opened.num_emitted = request.num_emitted;
  if (request.sampling.needs_history()) {
    opened.history.assign(request.prompt.begin(), request.prompt.begin() + request.cached_tokens);
  }
  part.opened.push_back(opened);
  for (int32_t page = 0; page < request.cached_tokens / limits_.page_tokens; ++page) {
    state.pages.push_back(states_[request.shares_pages_of].pages[page]);
    part.grants.push_back({opened.slot, state.pages.back()});
  }
}

void Script::cover(size_t i, int32_t tokens, StepPart& part) {
  State& state = states_[i];
  while (static_cast<int32_t>(state.pages.size()) * limits_.page_tokens < tokens) {
    state.pages.push_back(next_page_++);
    part.grants.push_back({static_cast<SlotId>(i), state.pages.back()});
  }
}

// Returns how many tokens of the budget the request takes in this step.
int32_t Script::add_tokens(size_t i, int32_t budget, StepPart& part) {
  const ScriptedRequest& request = requests_[i];
  State& state = states_[i];
  const auto prompt_tokens = static_cast<int32_t>(request.prompt.size());
  const int32_t left = prompt_tokens - state.computed;
  const int32_t count = left > 0 ? std::min({left, request.chunk, budget}) : std::min(1, budget);
  if (count == 0) return 0;
  if (!state.open) open(i, part);
  cover(i, state.computed + count, part);
  bool draws = true;
  if (left > 0) {
    Chunk chunk;
    chunk.slot = static_cast<SlotId>(i);
    chunk.start = state.computed;
    chunk.ids.assign(request.prompt.begin() + state.computed,
                     request.prompt.begin() + state.computed + count);
    draws = chunk.sample = count == left;
    part.chunks.push_back(std::move(chunk));
  } else {
    part.decodes.push_back(static_cast<SlotId>(i));
  }
  state.computed += count;
  state.drawn += draws;
  add_probes(i, state.computed - count, state.computed, draws, part);
  return count;
}

void Script::add_probes(size_t i, int32_t begin, int32_t end, bool draws, StepPart& part) {
  const ScriptedRequest& request = requests_[i];
  const auto slot = static_cast<SlotId>(i);
  const auto inside = [&](int32_t position) { return position >= begin && position < end; };
  for (const int32_t position : request.logit_positions) {
    if (inside(position)) part.probes.push_back({slot, position, -1});
  }
  if (request.probe_draws && draws) part.probes.push_back({slot, end - 1, -1});
  for (const int32_t position : request.hidden_positions) {
    if (!inside(position)) continue;
    for (int32_t layer = 0; layer <= limits_.num_layers; ++layer) {
      part.probes.push_back({slot, position, layer});
    }
  }
  for (ScoreRequest score : request.scores) {
    score.slot = slot;
    if (inside(score.position)) part.scores.push_back(score);
  }
}

}  // namespace

std::vector<StepPlan> plan_requests(const std::vector<ScriptedRequest>& requests,
                                    const ScriptLimits& limits,
                                    int64_t first_step) {
  return Script(requests, limits).make(first_step);
}

}  // namespace trireme

// A group of one rank without a model: executes plans as a worker would, with slots and pages, and
// draws the tokens of an AnswerScript. The prompt of a request is read from its pages, so that
// cached prefixes are known too. Owner: the rank's loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/doors/answer_script.h"

namespace trireme {

struct ScriptedShape {
  int32_t pages = 0;
  int32_t page_tokens = 0;
  int32_t max_slots = 0;
  int32_t vocabulary = 0;
};

struct ScriptedStep {
  StepResult result;
  TimeUs takes_us = 0;
  Act act = Act::kNone;
  std::vector<SlotId> opened;
  std::vector<SlotId> closed;
};

class ScriptedGroup {
 public:
  ScriptedGroup(const ScriptedShape& shape, AnswerScript& script, const Tokenizer& tokenizer);

  // Executes one plan of the coordinator, which is trusted; `step_us` where no answer says more.
  ScriptedStep execute(const StepPlan& plan, TimeUs step_us);

  int32_t num_open() const { return num_open_; }
  int64_t num_drawn() const { return num_drawn_; }
  // The text of a slot's prompt, closed or not; empty before its first draw.
  const std::string& prompt(SlotId id) const { return slots_.at(id).prompt; }
  int32_t drawn(SlotId id) const { return slots_.at(id).drawn; }

 private:
  struct Slot {
    OpenedSlot opened;
    std::vector<PageId> pages;
    int32_t computed = 0;
    int32_t drawn = 0;
    TokenId last_drawn = 0;
    const ScriptedAnswer* answer = nullptr;
    std::string prompt;
  };

  void compute(Slot& slot, TokenId id);
  std::string prompt_of(const Slot& slot) const;
  void draw(Slot& slot, ScriptedStep& step, TimeUs step_us);
  void add_logprobs(const Slot& slot, StepResult& result) const;
  static void answer_scores(const StepPart& part, StepResult& result);

  const ScriptedShape shape_;
  AnswerScript& script_;
  const Tokenizer& tokenizer_;
  std::vector<Slot> slots_;
  std::vector<std::vector<TokenId>> pages_;
  int32_t num_open_ = 0;
  int64_t num_drawn_ = 0;
};

}  // namespace trireme

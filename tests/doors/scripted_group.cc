#include "tests/doors/scripted_group.h"

#include <algorithm>

namespace trireme {

ScriptedGroup::ScriptedGroup(const ScriptedShape& shape,
                             AnswerScript& script,
                             const Tokenizer& tokenizer)
    : shape_(shape),
      script_(script),
      tokenizer_(tokenizer),
      slots_(shape.max_slots),
      pages_(shape.pages, std::vector<TokenId>(shape.page_tokens)) {}

void ScriptedGroup::compute(Slot& slot, TokenId id) {
  const PageId page = slot.pages.at(slot.computed / shape_.page_tokens);
  pages_.at(page).at(slot.computed % shape_.page_tokens) = id;
  ++slot.computed;
}

std::string ScriptedGroup::prompt_of(const Slot& slot) const {
  std::vector<TokenId> ids;
  for (int32_t at = 0; at < slot.opened.num_prompt; ++at) {
    ids.push_back(pages_.at(slot.pages.at(at / shape_.page_tokens)).at(at % shape_.page_tokens));
  }
  return tokenizer_.decode(ids, false);
}

void ScriptedGroup::add_logprobs(const Slot& slot, StepResult& result) const {
  const int32_t num_top = slot.opened.sampling.num_logprobs;
  if (num_top < 0) return;
  LogprobEntry entry;
  entry.slot = slot.opened.slot;
  entry.position = slot.computed;
  entry.token = {slot.last_drawn, -0.25f};
  for (int32_t i = 0; i < num_top; ++i) {
    entry.top.push_back(
        {(slot.last_drawn + i) % shape_.vocabulary, -0.25f - static_cast<float>(i)});
  }
  result.logprobs.push_back(std::move(entry));
}

void ScriptedGroup::draw(Slot& slot, ScriptedStep& step, TimeUs step_us) {
  if (slot.answer == nullptr) {
    if (script_.reads_prompts()) slot.prompt = prompt_of(slot);
    slot.answer = &script_.choose(slot.opened, slot.prompt);
  }
  const ScriptedAnswer& answer = *slot.answer;
  const bool is_first = slot.drawn == 0 && answer.first_us;
  step.takes_us =
      std::max(step.takes_us, is_first ? *answer.first_us : answer.step_us.value_or(step_us));
  slot.last_drawn = answer.id_at(slot.drawn);
  SlotId named = slot.opened.slot;
  if (answer.act != Act::kNone && slot.drawn == answer.act_at) {
    step.act = answer.act;
    if (answer.act == Act::kWrongId) slot.last_drawn = shape_.vocabulary + 7;
    if (answer.act == Act::kWrongSlot) named = shape_.max_slots + 7;
    if (answer.act == Act::kFail) {
      step.result.failures.push_back({named, "TRI-STEP-001: the script says so"});
      ++slot.drawn;
      return;
    }
  }
  add_logprobs(slot, step.result);
  ++slot.drawn;
  ++num_drawn_;
  step.result.slots.push_back(named);
  step.result.counts.push_back(1);
  step.result.ids.push_back(slot.last_drawn);
}

ScriptedStep ScriptedGroup::execute(const StepPlan& plan, TimeUs step_us) {
  ScriptedStep step;
  step.result.epochs = plan.epochs;
  step.result.step = plan.step;
  const StepPart& part = plan.parts.at(0);
  step.closed = part.closed;
  num_open_ += static_cast<int32_t>(part.opened.size()) - static_cast<int32_t>(part.closed.size());
  for (const OpenedSlot& opened : part.opened) {
    Slot slot;
    slot.opened = opened;
    slot.computed = opened.computed;
    slot.drawn = opened.num_emitted;
    slots_.at(opened.slot) = std::move(slot);
    step.opened.push_back(opened.slot);
  }
  for (const PageGrant& grant : part.grants) slots_.at(grant.slot).pages.push_back(grant.page);
  for (const PageCopy& copy : part.copies) pages_.at(copy.to) = pages_.at(copy.from);
  std::vector<SlotId> draws;
  for (const SlotId id : part.decodes) {
    compute(slots_.at(id), slots_.at(id).last_drawn);
    draws.push_back(id);
  }
  for (const Chunk& chunk : part.chunks) {
    for (const TokenId id : chunk.ids) compute(slots_.at(chunk.slot), id);
    step.takes_us = std::max(step.takes_us, step_us);
    if (chunk.sample) draws.push_back(chunk.slot);
  }
  if (!draws.empty()) step.takes_us = 0;  // the answers say how long
  for (const SlotId id : draws) draw(slots_.at(id), step, step_us);
  answer_scores(part, step.result);
  return step;
}

void ScriptedGroup::answer_scores(const StepPart& part, StepResult& result) {
  for (const ScoreRequest& score : part.scores) {
    LogprobEntry entry;
    entry.slot = score.slot;
    entry.position = score.position + 1;
    entry.token = {score.next_id, -1.0f};
    for (int32_t i = 0; i < score.num_top; ++i) {
      entry.top.push_back({score.next_id + i, -1.0f - static_cast<float>(i)});
    }
    result.scores.push_back(std::move(entry));
  }
}

}  // namespace trireme

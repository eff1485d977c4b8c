#include "tests/simulation/fake_group.h"

#include "base/text.h"

namespace trireme {

namespace {

// SplitMix64's finaliser (Steele, Lea and Flood 2014).
uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

constexpr uint64_t kEmptyHash = 0x9e3779b97f4a7c15;

}  // namespace

uint64_t extend_hash(uint64_t prefix_hash, TokenId id) {
  return mix(prefix_hash + mix(static_cast<uint64_t>(id) + 1));
}

TokenId pseudo_token(
    uint64_t seed, uint32_t choice, int32_t index, uint64_t prefix_hash, int32_t vocabulary) {
  const uint64_t draw = mix(mix(seed + choice) + static_cast<uint64_t>(index) + mix(prefix_hash));
  return static_cast<TokenId>(draw % static_cast<uint64_t>(vocabulary));
}

std::vector<TokenId> expected_tokens(const std::vector<TokenId>& prompt,
                                     uint64_t seed,
                                     uint32_t choice,
                                     int32_t count,
                                     int32_t vocabulary) {
  uint64_t hash = kEmptyHash;
  for (const TokenId id : prompt) hash = extend_hash(hash, id);
  std::vector<TokenId> tokens;
  for (int32_t index = 0; index < count; ++index) {
    tokens.push_back(pseudo_token(seed, choice, index, hash, vocabulary));
    hash = extend_hash(hash, tokens.back());
  }
  return tokens;
}

FakeGroup::FakeGroup(const GroupShape& shape, int32_t vocabulary, const AnswerScripts* scripts)
    : shape_(shape),
      vocabulary_(vocabulary),
      scripts_(scripts),
      slots_(shape.max_slots),
      pages_(shape.num_pages, std::vector<Cell>(shape.page_tokens)) {}

std::set<uint64_t> FakeGroup::seeds_of(const StepPlan& plan) const {
  std::set<uint64_t> seeds;
  for (const StepPart& part : plan.parts) {
    for (const SlotId slot : part.decodes) seeds.insert(slots_.at(slot).opened.seed);
    for (const Chunk& chunk : part.chunks) seeds.insert(slots_.at(chunk.slot).opened.seed);
  }
  return seeds;
}

int32_t FakeGroup::open_slots() const {
  int32_t count = 0;
  for (const Slot& slot : slots_) count += slot.open;
  return count;
}

void FakeGroup::problem(const std::string& text) {
  problems_.push_back(format_text("group {} step {}: {}", shape_.group, last_step_, text));
}

void FakeGroup::open(const OpenedSlot& opened) {
  if (opened.slot < 0 || opened.slot >= shape_.max_slots) {
    return problem(format_text("opens slot {}", opened.slot));
  }
  Slot& slot = slots_[opened.slot];
  if (slot.open) problem(format_text("slot {} is opened twice", opened.slot));
  slot = Slot{};
  slot.open = true;
  slot.opened = opened;
  slot.computed = opened.computed;
  slot.drawn = opened.num_emitted;
}

uint64_t FakeGroup::hash_at(const Slot& slot, int32_t position) {
  uint64_t hash = kEmptyHash;
  for (int32_t at = 0; at <= position; ++at) {
    const Cell& cell = pages_[slot.pages[at / shape_.page_tokens]][at % shape_.page_tokens];
    if (cell.before != hash) {
      problem(format_text("slot {} reads another's page at position {}", slot.opened.slot, at));
      return 0;
    }
    hash = cell.after;
  }
  return hash;
}

bool FakeGroup::compute(Slot& slot, TokenId id) {
  const int32_t position = slot.computed;
  const auto page = static_cast<size_t>(position / shape_.page_tokens);
  if (page >= slot.pages.size()) {
    problem(format_text("slot {} has no page for position {}", slot.opened.slot, position));
    return false;
  }
  if (position >= shape_.max_model_len)
    problem(format_text("position {} is past the model", position));
  const uint64_t before = position == 0 ? kEmptyHash : hash_at(slot, position - 1);
  pages_[slot.pages[page]][position % shape_.page_tokens] = {before, extend_hash(before, id)};
  ++slot.computed;
  return true;
}

TokenId FakeGroup::next_token(const Slot& slot, uint64_t hash) const {
  const OpenedSlot& opened = slot.opened;
  if (scripts_ != nullptr) {
    const auto script = scripts_->find(opened.seed);
    const auto index = static_cast<size_t>(slot.drawn);
    if (script != scripts_->end() && index < script->second.size()) return script->second[index];
  }
  return pseudo_token(opened.seed, opened.choice, slot.drawn, hash, vocabulary_);
}

void FakeGroup::draw(const StepPlan& plan, SlotId id, StepResult& result) {
  Slot& slot = slots_[id];
  const uint64_t hash = hash_at(slot, slot.computed - 1);
  slot.last_drawn = next_token(slot, hash);
  ++slot.drawn;
  slot.last_draw_step = plan.step;
  result.slots.push_back(id);
  result.counts.push_back(1);
  result.ids.push_back(slot.last_drawn);
  if (slot.opened.sampling.num_logprobs < 0) return;
  LogprobEntry entry;
  entry.slot = id;
  entry.position = slot.computed;
  entry.token = {slot.last_drawn, -1.0f};
  entry.top.resize(slot.opened.sampling.num_logprobs, entry.token);
  result.logprobs.push_back(entry);
}

StepResult FakeGroup::execute(const StepPlan& plan) {
  StepResult result;
  result.epochs = plan.epochs;
  result.step = plan.step;
  if (plan.step != last_step_ + 1) problem(format_text("follows by step {}", plan.step));
  last_step_ = plan.step;
  const StepPart& part = plan.parts.at(0);
  for (const SlotId id : part.closed) {
    if (!slots_[id].open) problem(format_text("slot {} is closed twice", id));
    slots_[id].open = false;
  }
  for (const OpenedSlot& opened : part.opened) open(opened);
  for (const PageGrant& grant : part.grants) {
    if (grant.page < 0 || grant.page >= shape_.num_pages) {
      problem(format_text("grants page {}", grant.page));
      continue;
    }
    slots_.at(grant.slot).pages.push_back(grant.page);
  }
  std::vector<SlotId> draws;
  int32_t tokens = 0;
  for (const SlotId id : part.decodes) {
    Slot& slot = slots_.at(id);
    ++tokens;
    if (!slot.open || slot.last_drawn < 0)
      problem(format_text("slot {} decodes without a draw", id));
    if (slot.last_draw_step > plan.wait_ids_through) {
      problem(format_text("slot {} needs the ids of step {}", id, slot.last_draw_step));
    }
    if (compute(slot, slot.last_drawn)) draws.push_back(id);
  }
  for (const Chunk& chunk : part.chunks) {
    Slot& slot = slots_.at(chunk.slot);
    if (!slot.open || chunk.start != slot.computed || chunk.ids.empty()) {
      problem(
          format_text("slot {} starts at {}, computed {}", chunk.slot, chunk.start, slot.computed));
    }
    tokens += static_cast<int32_t>(chunk.ids.size());
    bool ok = true;
    for (const TokenId id : chunk.ids) ok = ok && compute(slot, id);
    if (chunk.sample && ok) draws.push_back(chunk.slot);
  }
  if (tokens > shape_.max_batched_tokens) problem(format_text("plans {} tokens", tokens));
  for (const SlotId id : draws) draw(plan, id, result);
  answer_scores(part, result);
  answer_probes(plan, part);
  return result;
}

void FakeGroup::answer_scores(const StepPart& part, StepResult& result) {
  for (const ScoreRequest& score : part.scores) {
    LogprobEntry entry;
    entry.slot = score.slot;
    entry.position = score.position + 1;
    entry.token = {score.next_id, -1.0f};
    entry.top.resize(score.num_top);
    result.scores.push_back(entry);
  }
}

void FakeGroup::answer_probes(const StepPlan& plan, const StepPart& part) {
  for (const ProbeRequest& request : part.probes) {
    Probe probe;
    probe.epochs = plan.epochs;
    probe.step = plan.step;
    probe.slot = request.slot;
    probe.position = request.position;
    probe.layer = request.layer;
    probe.num_values = 1;
    probe.values = {static_cast<float>(hash_at(slots_.at(request.slot), request.position) >> 40)};
    probes_.push_back(probe);
  }
}

}  // namespace trireme

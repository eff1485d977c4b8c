#include "worker/step/slot_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace trireme {
namespace {

// The part of a draw's parameters that the request alone decides.
SamplingRow sampling_row_of(const SamplingParams& sampling) {
  SamplingRow row;
  row.temperature = sampling.temperature;
  row.top_k = sampling.top_k;
  row.top_p = sampling.top_p;
  row.min_p = sampling.min_p;
  row.repetition_penalty = sampling.repetition_penalty;
  row.presence_penalty = sampling.presence_penalty;
  row.frequency_penalty = sampling.frequency_penalty;
  return row;
}

}  // namespace

SlotTable::SlotTable(const SlotLimits& limits)
    : limits_(limits),
      stride_((limits.max_model_len + limits.page_tokens - 1) / limits.page_tokens),
      slots_(limits.max_slots),
      page_table_(static_cast<size_t>(limits.max_slots) * stride_) {
  changes_.reserve(page_table_.size());
}

void SlotTable::limit(int32_t num_pages, int32_t max_model_len) {
  CHECK(max_model_len <= limits_.max_model_len);
  limits_.num_pages = num_pages;
  limits_.max_model_len = max_model_len;
}

void SlotTable::reset() {
  for (Slot& slot : slots_) slot.open = false;
  changes_.clear();
  failures_.clear();
}

Status SlotTable::close(SlotId slot) {
  RETURN_IF_ERROR(check_open(slot, "closed"));
  slots_[slot].open = false;
  return ok_status();
}

Status SlotTable::open(const OpenedSlot& opened) {
  if (!in_range(opened.slot)) {
    return invalid("TRI-STEP-001",
                   "the plan opens slot {}, this group has 0 to {}",
                   opened.slot,
                   limits_.max_slots - 1);
  }
  Slot& slot = slots_[opened.slot];
  if (slot.open) {
    return invalid("TRI-STEP-002", "the plan opens slot {}, which is open", opened.slot);
  }
  if (opened.computed < 0 || opened.num_prompt < 0 || opened.num_emitted < 0 ||
      opened.computed > limits_.max_model_len || opened.num_prompt > limits_.max_model_len) {
    return invalid(
        "TRI-STEP-012",
        "slot {} opens with {} computed, {} prompt and {} emitted tokens; allowed are 0 to {}",
        opened.slot,
        opened.computed,
        opened.num_prompt,
        opened.num_emitted,
        limits_.max_model_len);
  }
  const bool keeps_history = limits_.draws && opened.sampling.needs_history();
  if (keeps_history && static_cast<int32_t>(opened.history.size()) != opened.computed) {
    return invalid("TRI-STEP-013",
                   "slot {} has penalties and {} computed tokens, but the plan names {} of them",
                   opened.slot,
                   opened.computed,
                   opened.history.size());
  }

  slot.open = true;
  slot.failed = false;
  slot.has_drawn = false;
  ++slot.generation;
  slot.computed = opened.computed;
  slot.num_pages = 0;
  slot.ids_step = 0;
  slot.num_prompt = opened.num_prompt;
  slot.num_emitted = static_cast<uint32_t>(opened.num_emitted);
  slot.seed = opened.seed;
  slot.choice = opened.choice;
  slot.sampling = opened.sampling;
  check_sampling(opened.slot, slot.sampling);
  check_ids(opened.slot, opened.history, "history");
  return ok_status();
}

Status SlotTable::grant(const PageGrant& grant) {
  RETURN_IF_ERROR(check_open(grant.slot, "granted a page"));
  if (grant.page < 0 || grant.page >= limits_.num_pages) {
    return invalid("TRI-STEP-004",
                   "the plan grants page {}, this group has 0 to {}",
                   grant.page,
                   limits_.num_pages - 1);
  }
  Slot& slot = slots_[grant.slot];
  if (slot.num_pages == stride_) {
    return invalid("TRI-STEP-005",
                   "slot {} is granted more than the {} pages of a sequence of {} tokens",
                   grant.slot,
                   stride_,
                   limits_.max_model_len);
  }
  const int32_t index = grant.slot * stride_ + slot.num_pages++;
  page_table_[index] = grant.page;
  changes_.push_back(index);
  return ok_status();
}

Status SlotTable::check_copy(const PageCopy& copy) const {
  for (const PageId page : {copy.from, copy.to}) {
    if (page < 0 || page >= limits_.num_pages) {
      return invalid("TRI-STEP-004",
                     "the plan copies page {}, this group has 0 to {}",
                     page,
                     limits_.num_pages - 1);
    }
  }
  return ok_status();
}

Status SlotTable::advance_chunk(const Chunk& chunk) {
  RETURN_IF_ERROR(check_open(chunk.slot, "given a chunk"));
  Slot& slot = slots_[chunk.slot];
  if (chunk.start != slot.computed) {
    return invalid("TRI-STEP-006",
                   "the plan's chunk for slot {} starts at {}, the slot stands at {}",
                   chunk.slot,
                   chunk.start,
                   slot.computed);
  }
  if (chunk.ids.empty()) {
    return invalid("TRI-STEP-006", "the plan's chunk for slot {} has no tokens", chunk.slot);
  }
  const int32_t count = static_cast<int32_t>(
      std::min<size_t>(chunk.ids.size(), static_cast<size_t>(limits_.max_model_len) + 1));
  RETURN_IF_ERROR(check_room(slot, chunk.slot, count));
  check_ids(chunk.slot, chunk.ids, "prompt");
  slot.computed += count;
  slot.has_drawn = false;
  return ok_status();
}

Status SlotTable::advance_decode(SlotId id) {
  RETURN_IF_ERROR(check_open(id, "decoded"));
  Slot& slot = slots_[id];
  if (!slot.has_drawn) {
    return invalid("TRI-STEP-009",
                   "the plan decodes slot {}, whose last token was not drawn; it needs a chunk "
                   "that samples first",
                   id);
  }
  RETURN_IF_ERROR(check_room(slot, id, 1));
  ++slot.computed;
  return ok_status();
}

void SlotTable::note_draw(SlotId slot, int64_t step) {
  slots_[slot].has_drawn = true;
  slots_[slot].ids_step = step;
  ++slots_[slot].num_emitted;
}

SamplingRow SlotTable::sampling_row(SlotId id, const SlotState& memory) const {
  const Slot& slot = slots_[id];
  const SamplingParams& sampling = slot.sampling;
  SamplingRow row;
  row.temperature = 0;
  if (slot.failed) return row;
  row = sampling_row_of(sampling);
  row.seed = slot.seed;
  row.choice = slot.choice;
  row.token_index = slot.num_emitted;
  if (sampling.needs_history()) {
    row.history = memory.history(id);
    row.num_history = slot.computed;
    row.num_prompt = std::min(slot.num_prompt, row.num_history);
  }
  row.bias_ids = memory.bias_ids(id);
  row.bias_values = memory.bias_values(id);
  row.num_bias = static_cast<int32_t>(sampling.logit_bias.size());
  if (static_cast<int64_t>(slot.num_emitted) < sampling.min_tokens) {
    row.banned_ids = memory.banned_ids(id);
    row.num_banned = static_cast<int32_t>(sampling.end_ids.size());
  }
  return row;
}

bool SlotTable::draws_whole(SlotId id) const {
  const SamplingParams& sampling = slots_[id].sampling;
  return sampling_row_of(sampling).needs_whole_row() || sampling.num_logprobs >= 0;
}

Status SlotTable::check_open(SlotId slot, const char* what) const {
  if (!in_range(slot)) {
    return invalid(
        "TRI-STEP-001", "slot {} is {}, this group has 0 to {}", slot, what, limits_.max_slots - 1);
  }
  if (!slots_[slot].open) {
    return invalid("TRI-STEP-003", "slot {} is {}, but it is not open", slot, what);
  }
  return ok_status();
}

Status SlotTable::check_room(const Slot& slot, SlotId id, int32_t count) const {
  if (count > limits_.max_model_len - slot.computed) {
    return invalid("TRI-STEP-007",
                   "slot {} would grow from {} by {} tokens, over the maximal length of {}",
                   id,
                   slot.computed,
                   count,
                   limits_.max_model_len);
  }
  const int64_t granted = int64_t{slot.num_pages} * limits_.page_tokens;
  if (slot.computed + count > granted) {
    return invalid("TRI-STEP-010",
                   "slot {} would hold {} tokens, but its pages hold {}",
                   id,
                   slot.computed + count,
                   granted);
  }
  return ok_status();
}

void SlotTable::fail(SlotId id, std::string message) {
  Slot& slot = slots_[id];
  if (slot.failed) return;
  slot.failed = true;
  failures_.push_back({id, std::move(message)});
}

void SlotTable::check_ids(SlotId slot, std::span<const TokenId> ids, const char* what) {
  for (const TokenId id : ids) {
    if (id >= 0 && id < limits_.vocabulary) continue;
    fail(slot,
         format_text("TRI-STEP-011: the {} holds token id {}, the model's vocabulary has 0 to {}; "
                     "send ids of this model's tokenizer",
                     what,
                     id,
                     limits_.vocabulary - 1));
    return;
  }
}

// Preconditions of the kernels. The coordinator's admission reports them to users first; this check
// protects the device.
void SlotTable::check_sampling(SlotId slot, const SamplingParams& sampling) {
  const float values[] = {sampling.temperature,
                          sampling.top_p,
                          sampling.min_p,
                          sampling.repetition_penalty,
                          sampling.presence_penalty,
                          sampling.frequency_penalty};
  bool good = sampling.temperature >= 0 && sampling.top_k >= 0 && sampling.top_p >= 0 &&
              sampling.min_p >= 0 && sampling.repetition_penalty > 0 &&
              sampling.num_logprobs >= -1 && sampling.num_logprobs <= kMaxLogprobs &&
              sampling.logit_bias.size() <= kMaxLogitBias &&
              sampling.end_ids.size() <= kMaxBannedIds;
  for (const float value : values) good = good && std::isfinite(value);
  for (const auto& [id, value] : sampling.logit_bias) {
    good = good && id >= 0 && id < limits_.vocabulary && !std::isnan(value);
  }
  for (const TokenId id : sampling.end_ids) good = good && id >= 0 && id < limits_.vocabulary;
  if (good) return;
  fail(slot,
       format_text("TRI-STEP-014: a sampling value is out of range (temperature {:g}, top_k {}, "
                   "top_p {:g}, logprobs {}, {} entries of logit_bias, at most {}, or an id of "
                   "logit_bias or stop_token_ids beyond the vocabulary)",
                   sampling.temperature,
                   sampling.top_k,
                   sampling.top_p,
                   sampling.num_logprobs,
                   sampling.logit_bias.size(),
                   kMaxLogitBias));
}

}  // namespace trireme

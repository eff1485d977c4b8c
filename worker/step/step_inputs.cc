#include "worker/step/step_inputs.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/step_memory.h"

namespace trireme {
namespace {

// Replaces a negative id of a plan, which would mean the slot's drawn id, by one that no vocabulary
// has.
constexpr TokenId kNoToken = std::numeric_limits<TokenId>::max();

}  // namespace

StepInputs::StepInputs(Backend& backend,
                       Queue& copies,
                       int32_t max_batched_tokens,
                       int32_t max_slots)
    : backend_(&backend), copies_(&copies), segments_(max_slots) {
  limits_.max_batched_tokens = max_batched_tokens;
  limits_.max_slots = max_slots;
}

StatusOr<StepInputs> StepInputs::make(Backend& backend,
                                      int32_t max_batched_tokens,
                                      const SlotTable& slots,
                                      int32_t depth,
                                      Queue& copies) {
  const int32_t max_slots = slots.limits().max_slots;
  StepInputs inputs(backend, copies, max_batched_tokens, max_slots);
  inputs.limits_.max_changes = static_cast<int32_t>(max_table_changes(
      max_slots, max_batched_tokens, slots.limits().page_tokens, slots.page_table_stride()));
  inputs.record_bytes_ = StepArrays::bytes(inputs.limits_);
  inputs.draws_.reserve(max_slots);
  inputs.whole_draws_.reserve(max_slots);

  const auto table_bytes = static_cast<int64_t>(slots.page_table().size_bytes());
  ASSIGN_OR_RETURN(inputs.page_table_, backend.allocate(table_bytes, "the page table"));
  const int64_t ring_bytes = depth * inputs.record_bytes_;
  ASSIGN_OR_RETURN(inputs.host_ring_, backend.allocate_shared(ring_bytes, "the step records"));
  ASSIGN_OR_RETURN(inputs.device_,
                   backend.allocate(ring_bytes + inputs.record_bytes_ + 16, "the step records"));
  std::byte* const in_turn = inputs.device_.data() + ring_bytes;
  inputs.ring_ = {inputs.device_.data(),
                  inputs.record_bytes_,
                  depth,
                  reinterpret_cast<uint64_t*>(in_turn + inputs.record_bytes_)};
  inputs.device_record_ = StepArrays(in_turn, inputs.limits_);
  inputs.batch_.token_ids = inputs.device_record_.token_ids.data();
  inputs.batch_.positions = inputs.device_record_.positions.data();
  inputs.batch_.slots = inputs.device_record_.slots.data();
  inputs.batch_.segment_starts = inputs.device_record_.segment_starts.data();
  inputs.batch_.page_table = reinterpret_cast<const int32_t*>(inputs.page_table_.data());
  inputs.batch_.page_table_stride = slots.page_table_stride();
  return inputs;
}

Status StepInputs::fill(
    Queue& queue, const StepPart& part, int64_t step, SlotTable& slots, const SlotState& memory) {
  step_ = step;
  record_ = StepArrays(host_ring_.data() + entry_ % ring_.depth * record_bytes_, limits_);
  clear();
  RETURN_IF_ERROR(add_rows(part, slots));
  num_by_shard_ = static_cast<int32_t>(draws_.size());
  draws_.insert(draws_.end(), whole_draws_.begin(), whole_draws_.end());
  std::fill(record_.segment_starts.begin() + num_segments_,
            record_.segment_starts.end(),
            batch_.num_tokens);
  batch_.num_segments = num_segments_;
  write_draws(slots, memory);
  record_.table_changes[0] = 0;
  if (batch_.num_tokens > 0) write_changes(queue, slots);
  return ok_status();
}

void StepInputs::reset() { std::ranges::fill(segments_, Segment{}); }

void StepInputs::send(Queue& queue) {
  const int64_t offset = entry_ % ring_.depth * record_bytes_;
  const std::span<const std::byte> written(host_ring_.data() + offset, record_bytes_);
  backend_->upload_shared(*copies_, device_.data() + offset, written);
  if (copies_ != &queue) backend_->order(queue, *copies_);
  ++entry_;
}

void StepInputs::take(Queue& queue) {
  std::byte* const in_turn = device_.data() + ring_.depth * record_bytes_;
  backend_->take_entry(queue, ring_, in_turn);
  backend_->update_table(queue,
                         reinterpret_cast<int32_t*>(page_table_.data()),
                         device_record_.table_changes.data(),
                         limits_.max_changes);
}

Status StepInputs::add_rows(const StepPart& part, SlotTable& slots) {
  for (const SlotId slot : part.decodes) {
    RETURN_IF_ERROR(slots.advance_decode(slot));
    const int32_t row = batch_.num_tokens;
    RETURN_IF_ERROR(add_segment(slot, slots[slot].computed - 1, 1));
    record_.token_ids[row] = -1;
    record_.places[row] = -1;  // the history got it when it was drawn
    add_draw(slot, slots);
  }
  for (const Chunk& chunk : part.chunks) {
    RETURN_IF_ERROR(slots.advance_chunk(chunk));
    const int32_t row = batch_.num_tokens;
    const auto count = static_cast<int32_t>(chunk.ids.size());
    RETURN_IF_ERROR(add_segment(chunk.slot, chunk.start, count));
    const bool keeps = slots.keeps_history(chunk.slot) && !slots[chunk.slot].failed;
    // Depends on the request alone, so that all stages agree.
    keeps_history_ = keeps_history_ || slots[chunk.slot].sampling.needs_history();
    for (int32_t i = 0; i < count; ++i) {
      record_.token_ids[row + i] = chunk.ids[i] < 0 ? kNoToken : chunk.ids[i];
      record_.places[row + i] = keeps ? chunk.start + i : -1;
    }
    if (chunk.sample) add_draw(chunk.slot, slots);
  }
  return ok_status();
}

Status StepInputs::add_segment(SlotId slot, int32_t start, int32_t count) {
  const int32_t row = batch_.num_tokens;
  if (count > limits_.max_batched_tokens - row) {
    return invalid("TRI-STEP-008",
                   "the plan of step {} has more than the {} tokens of --max-num-batched-tokens; "
                   "give coordinator and workers one value",
                   step_,
                   limits_.max_batched_tokens);
  }
  if (segments_[slot].step == step_) {
    return invalid("TRI-STEP-015", "the plan of step {} runs slot {} twice", step_, slot);
  }
  segments_[slot] = {step_, row, start, count};
  record_.segment_starts[num_segments_++] = row;
  for (int32_t i = 0; i < count; ++i) {
    record_.positions[row + i] = start + i;
    record_.slots[row + i] = slot;
  }
  batch_.num_tokens += count;
  is_mixed_ = is_mixed_ || count > 1;
  return ok_status();
}

void StepInputs::add_draw(SlotId slot, const SlotTable& slots) {
  has_logprobs_ = has_logprobs_ || slots[slot].sampling.num_logprobs >= 0;
  auto& list = slots.draws_whole(slot) ? whole_draws_ : draws_;
  list.push_back({slot, slots[slot].generation, batch_.num_tokens - 1});
}

void StepInputs::write_draws(const SlotTable& slots, const SlotState& memory) {
  if (!slots.limits().draws) return;
  for (size_t i = 0; i < draws_.size(); ++i) {
    const SlotId slot = draws_[i].slot;
    record_.sampled_rows[i] = draws_[i].row;
    record_.sampled_slots[i] = slot;
    const bool keeps = slots.keeps_history(slot) && !slots[slot].failed;
    record_.sampled_places[i] = keeps ? slots[slot].computed : -1;
    record_.sampling[i] = slots.sampling_row(slot, memory);
  }
}

// Changes beyond the record's capacity are uploaded separately, in queue order: one piece of the
// host's table, from the first such entry to the last.
void StepInputs::write_changes(Queue& queue, SlotTable& slots) {
  const std::span<const int32_t> changes = slots.changes();
  const size_t fits = std::min<size_t>(changes.size(), limits_.max_changes);
  record_.table_changes[0] = static_cast<int32_t>(fits);
  for (size_t i = 0; i < fits; ++i) {
    record_.table_changes[1 + 2 * i] = changes[i];
    record_.table_changes[2 + 2 * i] = slots.page_table()[changes[i]];
  }
  if (fits < changes.size()) {
    const auto [first, last] = std::ranges::minmax(changes.subspan(fits));
    backend_->upload(queue,
                     page_table_.data() + int64_t{first} * 4,
                     std::as_bytes(slots.page_table().subspan(first, last - first + 1)));
  }
  slots.clear_changes();
}

void StepInputs::pad(int32_t num_tokens, int32_t num_rows, bool is_mixed) {
  for (int32_t row = batch_.num_tokens; row < num_tokens; ++row) {
    record_.token_ids[row] = 0;
    record_.positions[row] = 0;
    record_.slots[row] = -1;
    record_.places[row] = -1;
  }
  for (auto row = static_cast<int32_t>(draws_.size()); row < num_rows; ++row) {
    record_.sampled_rows[row] = 0;
    record_.sampled_slots[row] = -1;
    record_.sampled_places[row] = -1;
    record_.sampling[row] = {};
    record_.sampling[row].temperature = 0;
  }
  batch_.is_mixed = is_mixed;
  batch_.num_tokens = num_tokens;
  batch_.num_segments = std::min(num_tokens, limits_.max_slots);
}

int32_t StepInputs::row_of(SlotId slot, int32_t position) const {
  if (slot < 0 || slot >= static_cast<int32_t>(segments_.size())) return -1;
  const Segment& segment = segments_[slot];
  const int64_t offset = int64_t{position} - segment.start;
  if (segment.step != step_ || offset < 0 || offset >= segment.count) return -1;
  return segment.row + static_cast<int32_t>(offset);
}

void StepInputs::clear() {
  batch_.num_tokens = 0;
  batch_.is_mixed = false;
  num_segments_ = 0;
  num_by_shard_ = 0;
  has_logprobs_ = false;
  is_mixed_ = false;
  keeps_history_ = false;
  draws_.clear();
  whole_draws_.clear();
}

}  // namespace trireme

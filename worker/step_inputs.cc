#include "worker/step_inputs.h"

namespace trireme {

StatusOr<StepInputs> StepInputs::make(Backend& backend,
                                      int32_t max_tokens,
                                      const SlotTable& slots) {
  const int32_t max_slots = slots.limits().max_slots;
  StepInputs inputs(backend, max_tokens, max_slots);
  inputs.token_ids_.reserve(max_tokens);
  inputs.positions_.reserve(max_tokens);
  inputs.slot_ids_.reserve(max_tokens);
  inputs.segment_starts_.reserve(max_slots + 1);
  inputs.draws_.reserve(max_slots);

  const int64_t table_bytes = static_cast<int64_t>(slots.page_table().size_bytes());
  ASSIGN_OR_RETURN(inputs.device_page_table_, backend.allocate(table_bytes, "the page table"));
  const int64_t count = int64_t{3} * max_tokens + max_slots + 1;
  ASSIGN_OR_RETURN(inputs.device_, backend.allocate(count * 4, "the step inputs"));
  const auto* base = reinterpret_cast<const int32_t*>(inputs.device_.data());
  inputs.batch_.token_ids = base;
  inputs.batch_.positions = base + max_tokens;
  inputs.batch_.slots = base + 2 * max_tokens;
  inputs.batch_.segment_starts = base + 3 * max_tokens;
  inputs.batch_.page_table = reinterpret_cast<const int32_t*>(inputs.device_page_table_.data());
  inputs.batch_.page_table_stride = slots.page_table_stride();
  return inputs;
}

Status StepInputs::fill(Queue& queue, const StepPart& part, int64_t step, SlotTable& slots) {
  token_ids_.clear();
  positions_.clear();
  slot_ids_.clear();
  segment_starts_.clear();
  draws_.clear();
  step_ = step;
  for (const SlotId slot : part.decodes) {
    RETURN_IF_ERROR(slots.advance_decode(slot));
    RETURN_IF_ERROR(add_segment(slot, slots[slot].computed - 1, 1, step));
    token_ids_.push_back(slots[slot].last_id);
    draws_.push_back({slot, slots[slot].generation, static_cast<int32_t>(token_ids_.size()) - 1});
  }
  for (const Chunk& chunk : part.chunks) {
    RETURN_IF_ERROR(slots.advance_chunk(chunk));
    const auto count = static_cast<int32_t>(chunk.ids.size());
    RETURN_IF_ERROR(add_segment(chunk.slot, chunk.start, count, step));
    token_ids_.insert(token_ids_.end(), chunk.ids.begin(), chunk.ids.end());
    if (!chunk.sample) continue;
    draws_.push_back(
        {chunk.slot, slots[chunk.slot].generation, static_cast<int32_t>(token_ids_.size()) - 1});
  }
  segment_starts_.push_back(static_cast<int32_t>(token_ids_.size()));
  upload(queue, slots);
  return ok_status();
}

int32_t StepInputs::row_of(SlotId slot, int32_t position) const {
  if (slot < 0 || slot >= static_cast<int32_t>(segments_.size())) return -1;
  const Segment& segment = segments_[slot];
  const int64_t offset = int64_t{position} - segment.start;
  if (segment.step != step_ || offset < 0 || offset >= segment.count) return -1;
  return segment.row + static_cast<int32_t>(offset);
}

Status StepInputs::add_segment(SlotId slot, int32_t start, int32_t count, int64_t step) {
  const auto row = static_cast<int32_t>(positions_.size());
  if (count > max_tokens_ - row) {
    return invalid("TRI-STEP-008",
                   "the plan of step ",
                   step,
                   " has more than the ",
                   max_tokens_,
                   " tokens of --max-num-batched-tokens; give coordinator and workers one value");
  }
  if (segments_[slot].step == step) {
    return invalid("TRI-STEP-015", "the plan of step ", step, " runs slot ", slot, " twice");
  }
  segments_[slot] = {step, row, start, count};
  segment_starts_.push_back(row);
  for (int32_t i = 0; i < count; ++i) {
    positions_.push_back(start + i);
    slot_ids_.push_back(slot);
  }
  return ok_status();
}

void StepInputs::upload(Queue& queue, SlotTable& slots) {
  batch_.num_tokens = static_cast<int32_t>(token_ids_.size());
  batch_.num_segments = static_cast<int32_t>(segment_starts_.size()) - 1;
  const auto put = [&](const int32_t* device, const std::vector<int32_t>& host) {
    const int64_t offset = reinterpret_cast<const std::byte*>(device) - device_.data();
    backend_->upload(queue, device_.data() + offset, std::as_bytes(std::span(host)));
  };
  put(batch_.token_ids, token_ids_);
  put(batch_.positions, positions_);
  put(batch_.slots, slot_ids_);
  put(batch_.segment_starts, segment_starts_);
  for (const int32_t index : slots.changes()) {
    backend_->upload(queue,
                     device_page_table_.data() + int64_t{index} * 4,
                     std::as_bytes(slots.page_table().subspan(index, 1)));
  }
  slots.clear_changes();
}

}  // namespace trireme

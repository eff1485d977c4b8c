#include "worker/step/slot_state.h"

#include <span>
#include <utility>

namespace trireme {
namespace {

template <class T>
std::byte* bytes_at(T* array, int64_t index) {
  return reinterpret_cast<std::byte*>(array + index);
}

}  // namespace

StatusOr<SlotState> SlotState::make(Backend& backend,
                                    int32_t max_slots,
                                    int32_t max_model_len,
                                    bool draws) {
  SlotState slots(backend);
  const auto words = [&](int64_t per_slot, const char* what) -> StatusOr<std::byte*> {
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(max_slots * per_slot * 4, what));
    std::byte* const data = buffer.data();
    slots.memory_.push_back(std::move(buffer));
    return data;
  };
  ASSIGN_OR_RETURN(std::byte* const last, words(1, "the drawn ids"));
  slots.ids_.last = reinterpret_cast<int32_t*>(last);
  if (!draws) return slots;
  slots.ids_.history_stride = int64_t{max_model_len} + 1;
  ASSIGN_OR_RETURN(std::byte* const history,
                   words(slots.ids_.history_stride, "the slots' histories"));
  ASSIGN_OR_RETURN(std::byte* const bias_ids, words(kMaxLogitBias, "the slots' biases"));
  ASSIGN_OR_RETURN(std::byte* const bias_values, words(kMaxLogitBias, "the slots' biases"));
  ASSIGN_OR_RETURN(std::byte* const banned, words(kMaxBannedIds, "the slots' banned ids"));
  slots.ids_.history = reinterpret_cast<int32_t*>(history);
  slots.bias_ids_ = reinterpret_cast<int32_t*>(bias_ids);
  slots.bias_values_ = reinterpret_cast<float*>(bias_values);
  slots.banned_ids_ = reinterpret_cast<int32_t*>(banned);
  return slots;
}

void SlotState::open(Queue& queue, const OpenedSlot& opened) {
  if (bias_ids_ == nullptr) return;
  const int64_t slot = opened.slot;
  const SamplingParams& sampling = opened.sampling;
  if (sampling.needs_history() && !opened.history.empty()) {
    backend_->upload(queue,
                     bytes_at(ids_.history, slot * ids_.history_stride),
                     std::as_bytes(std::span(opened.history)));
  }
  if (!sampling.end_ids.empty()) {
    backend_->upload(queue,
                     bytes_at(banned_ids_, slot * kMaxBannedIds),
                     std::as_bytes(std::span(sampling.end_ids)));
  }
  if (sampling.logit_bias.empty()) return;
  std::vector<int32_t> ids;
  std::vector<float> values;
  for (const auto& [id, value] : sampling.logit_bias) {
    ids.push_back(id);
    values.push_back(value);
  }
  backend_->upload(queue, bytes_at(bias_ids_, slot * kMaxLogitBias), std::as_bytes(std::span(ids)));
  backend_->upload(
      queue, bytes_at(bias_values_, slot * kMaxLogitBias), std::as_bytes(std::span(values)));
}

}  // namespace trireme

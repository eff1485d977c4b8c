// Device state of each slot between steps: the last drawn id and, on ranks that draw, the inputs of
// sampling (history, biases, banned ids). Memory is fixed per slot, so that addresses never change.
// Written by ops in step order; owned by the step executor.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/step_memory.h"
#include "kernels/backend.h"
#include "model/step_plan.h"

namespace trireme {

class SlotState {
 public:
  // `draws`: this rank samples, and keeps histories of up to max_model_len + 1 ids.
  static StatusOr<SlotState> make(Backend& backend,
                                  int32_t max_slots,
                                  int32_t max_model_len,
                                  bool draws);

  // Uploads the biases and banned ids of an opened slot, whose sizes have been checked.
  void open(Queue& queue, const OpenedSlot& opened);

  const SlotIds& ids() const { return ids_; }
  const int32_t* history(SlotId slot) const { return ids_.history + slot * ids_.history_stride; }
  const int32_t* bias_ids(SlotId slot) const { return bias_ids_ + int64_t{slot} * kMaxLogitBias; }
  const float* bias_values(SlotId slot) const {
    return bias_values_ + int64_t{slot} * kMaxLogitBias;
  }
  const int32_t* banned_ids(SlotId slot) const {
    return banned_ids_ + int64_t{slot} * kMaxBannedIds;
  }

 private:
  explicit SlotState(Backend& backend) : backend_(&backend) {}

  Backend* backend_;
  std::vector<Buffer> memory_;
  SlotIds ids_;
  int32_t* bias_ids_ = nullptr;  // null with the two below: this rank does not draw
  float* bias_values_ = nullptr;
  int32_t* banned_ids_ = nullptr;
};

}  // namespace trireme

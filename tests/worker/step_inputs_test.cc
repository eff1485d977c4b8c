// The transfer of a step's inputs to an emulated device.
#include "worker/step/step_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda_backend.h"
#include "kernels/emulation/control.h"

namespace trireme {
namespace step_inputs_test {

constexpr SlotLimits kLimits = {
    .max_slots = 4, .max_model_len = 640, .page_tokens = 64, .num_pages = 100, .vocabulary = 100};
constexpr int32_t kMaxTokens = 8;

class Inputs : public testing::Test {
 protected:
  Inputs()
      : backend_(make_cuda_backend({.max_batched_tokens = 512}).value()),
        queue_(&backend_->lane()),
        slots_(kLimits),
        memory_(
            SlotState::make(*backend_, kLimits.max_slots, kLimits.max_model_len, false).value()),
        inputs_(StepInputs::make(*backend_, kMaxTokens, slots_, 2, backend_->side()).value()) {}

  void open_with_pages(SlotId slot, PageId first_page) {
    OpenedSlot opened;
    opened.slot = slot;
    ASSERT_TRUE(slots_.open(opened).ok());
    for (int32_t i = 0; i < slots_.page_table_stride(); ++i) {
      ASSERT_TRUE(slots_.grant({slot, first_page + i}).ok());
    }
  }

  std::unique_ptr<Backend> backend_;
  Queue* queue_;
  SlotTable slots_;
  SlotState memory_;
  StepInputs inputs_;
};

// A record holds 18 changes here: two per slot, and those of a whole sequence.
TEST_F(Inputs, MorePagesThanARecordHoldsTakeOneMoreCopy) {
  for (SlotId slot = 1; slot < 4; ++slot) open_with_pages(slot, 30 * slot);
  StepPart part;
  part.chunks.push_back({.slot = 2, .start = 0, .ids = {7}});
  emulation::start_call_trace();
  ASSERT_TRUE(inputs_.fill(*queue_, part, 1, slots_, memory_).ok());
  inputs_.send(*queue_);
  inputs_.take(*queue_);
  const auto calls = emulation::stop_call_trace();
  EXPECT_EQ(std::ranges::count(calls, std::string("cudaMemcpyAsync"), &emulation::Call::name), 2);
  ASSERT_TRUE(backend_->wait(*queue_, 0).ok());
  const std::span<const int32_t> table(inputs_.batch().page_table, slots_.page_table().size());
  EXPECT_TRUE(std::ranges::equal(table, slots_.page_table()));
}

}  // namespace step_inputs_test
}  // namespace trireme

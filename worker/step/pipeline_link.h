// Messages between stages: residuals to the next stage, drawn ids back to the first stage. Both
// pass between ranks of equal tensor index, in plan order, through rings of buffers that are
// allocated once. Used by the step loop.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "worker/comm/comm.h"
#include "worker/step/slot_table.h"
#include "worker/step/step_inputs.h"

namespace trireme {

// The residuals of the steps in flight: pp + 1 buffers, so that a stage can run ahead of the next
// one by as many steps. A receive is posted as soon as its buffer is free; on an ordered Comm, when
// its step begins.
class ResidualRing {
 public:
  static StatusOr<ResidualRing> make(Backend& backend,
                                     Comm& pipeline,
                                     Queue& queue,
                                     int64_t max_batched_tokens,
                                     int64_t hidden_size);

  // The residual buffer of the next step with tokens, [num_tokens, hidden]: on the first stage to
  // be filled, elsewhere received from the stage before. Waits for it.
  Tensor begin_step(Queue& queue, int64_t num_tokens);
  // Ends the step: sends the residual to the next stage, or frees its buffer on the last.
  void end_step(Queue& queue);
  // Waits until all sends are complete and cancels open receives. Call it last, or before
  // restart(), which begins again as after make().
  void flush();
  void restart(Queue& queue);

 private:
  struct Entry {
    Tensor tensor;
    Ticket sending = -1;
    Ticket receiving = -1;
  };

  ResidualRing(Comm& pipeline) : pipeline_(&pipeline) {}
  bool has_previous() const { return pipeline_->rank() > 0; }
  bool has_next() const { return pipeline_->rank() + 1 < pipeline_->size(); }
  void post_receive(Queue& queue, size_t index, int64_t num_tokens);

  Comm* pipeline_;
  std::vector<Buffer> memory_;
  std::vector<Entry> entries_;
  size_t current_ = 0;
  int64_t num_tokens_ = 0;
};

// Sends drawn ids from the last stage to the first, in groups with more than one stage. The ids
// stay on the device: those of a step are in `kept.last` once take_through() has been enqueued.
class TokenReturn {
 public:
  static StatusOr<TokenReturn> make(Backend& backend, Comm& tokens, int32_t max_slots);

  // Last stage: sends the ids of a step that drew any; `ids` is device memory.
  void send(Queue& queue, const int32_t* ids, int32_t count);
  // First stage: announces a step that will draw for `draws`. If the ring is full, takes the oldest
  // ids first: a plan waits for ids only if one of its decodes needs them.
  void expect(Queue& queue, int64_t step, std::span<const DrawRow> draws, const SlotIds& kept);
  // First stage: stores the ids of every step up to `step` in their slots. Waits for them.
  void take_through(Queue& queue, int64_t step, const SlotIds& kept);
  // Waits until all ids have been sent or received.
  void flush(Queue& queue, const SlotIds& kept);

 private:
  struct Entry {
    int64_t step = 0;
    Ticket ticket = -1;
    int32_t count = 0;
    int32_t* ids = nullptr;    // device memory
    int32_t* slots = nullptr;  // device memory: slots of the ids
  };

  TokenReturn(Backend& backend, Comm& tokens) : backend_(&backend), tokens_(&tokens) {}
  void receive(Queue& queue, Entry& entry);
  void take_oldest(Queue& queue, const SlotIds& kept);

  Backend* backend_;
  Comm* tokens_;
  Buffer memory_;
  std::vector<int32_t> slots_;
  std::vector<Entry> entries_;  // a ring
  size_t oldest_ = 0;
  size_t count_ = 0;
};

}  // namespace trireme

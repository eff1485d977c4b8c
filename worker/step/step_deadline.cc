#include "worker/step/step_deadline.h"

namespace trireme {

void StepDeadline::begin_step() {
  deadline_us_ = clock_.now_us() + step_timeout_us_;
  // Waits along the stages last longer, so that the rank nearest to the lost one names it first.
  const TimeUs stages_us = deadline_us_ + step_timeout_us_ / 2;
  comms_.group->set_deadline(deadline_us_);
  comms_.tensor->set_deadline(deadline_us_);
  comms_.pipeline->set_deadline(stages_us);
  comms_.tokens->set_deadline(stages_us);
}

TimeUs StepDeadline::stage_grace_us() const {
  return comms_.pipeline->is_ordered() ? step_timeout_us_ / 2 : 0;
}

Status StepDeadline::status() const {
  for (const Comm* comm :
       {comms_.group.get(), comms_.tensor.get(), comms_.pipeline.get(), comms_.tokens.get()}) {
    RETURN_IF_ERROR(comm->status());
  }
  return ok_status();
}

Status StepDeadline::poll() {
  for (Comm* comm :
       {comms_.group.get(), comms_.tensor.get(), comms_.pipeline.get(), comms_.tokens.get()}) {
    comm->poll();
  }
  return status();
}

// A late device may wait for a peer, which its communicator knows: the tensor group's comes first.
Status StepDeadline::wait(Queue& queue, TimeUs deadline_us) {
  Status waited = backend_.wait(queue, deadline_us);
  if (!absl::IsDeadlineExceeded(waited)) return waited;
  RETURN_IF_ERROR(poll());
  if (stage_grace_us() > 0) waited = backend_.wait(queue, deadline_us + stage_grace_us());
  if (!waited.ok()) RETURN_IF_ERROR(find_late_peer());
  return waited;
}

Status StepDeadline::find_late_peer() {
  for (Comm* comm : {comms_.tensor.get(), comms_.pipeline.get(), comms_.tokens.get()}) {
    comm->set_deadline(clock_.now_us());
  }
  return poll();
}

}  // namespace trireme

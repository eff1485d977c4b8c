// The time that a step may take: the deadlines of the group's communicators, and bounded waits for
// the device, which name the peer that is late. Used by the step executor, on the step loop's
// thread. Allocates nothing but the text of errors.
#pragma once

#include "base/clock.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "worker/comm/group_comms.h"

namespace trireme {

class StepDeadline {
 public:
  StepDeadline(Backend& backend, GroupComms& comms, TimeUs step_timeout_us)
      : backend_(backend), comms_(comms), step_timeout_us_(step_timeout_us) {}

  // Begins a step: every communicator gets its deadline.
  void begin_step();
  TimeUs deadline_us() const { return deadline_us_; }  // of the last begin_step()
  // Time beyond the step's deadline that the device may wait for another stage. CUDA: half of the
  // step timeout. CPU: 0; there the host waits in a communicator whose deadline is half a timeout
  // later already (begin_step()).
  TimeUs stage_grace_us() const;

  // The first error of any communicator. TRI-GRP-004, 005, TRI-CUDA-013, 014: a peer is lost.
  Status status() const;
  // Makes progress on messages in flight; then status().
  Status poll();
  // Waits until the queue's work has ended. An error names the late peer, if a peer is late.
  Status wait(Queue& queue, TimeUs deadline_us);
  // Ends the waits of every communicator; an error names the peer that one of them waits for. The
  // deadlines are those of later steps by now, so they are moved to the present.
  Status find_late_peer();

 private:
  Backend& backend_;
  GroupComms& comms_;
  const TimeUs step_timeout_us_;
  SteadyClock clock_;
  TimeUs deadline_us_ = 0;
};

}  // namespace trireme

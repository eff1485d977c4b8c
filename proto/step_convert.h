// Conversion between steps.proto and model/step_plan.h. For step_codec.cc only. `write` expects a
// cleared message; `read` fills the value in place and reports fields out of range to `check`. Pure
// functions.
#pragma once

#include "model/step_plan.h"
#include "proto/steps.pb.h"
#include "proto/wire_fields.h"

namespace trireme {

void write(const StepPlan& plan, v1::StepPlan& message);
void write(const StepResult& result, v1::StepResult& message);
void write(const Probe& probe, v1::ProbePiece& message);

void read(wire::RangeCheck& check, const v1::StepPlan& message, StepPlan& plan);
void read(wire::RangeCheck& check, const v1::StepResult& message, StepResult& result);
void read(wire::RangeCheck& check, const v1::ProbePiece& message, Probe& probe);

template <class Message>
void write_epochs(const Epochs& epochs, Message& message) {
  message.set_coordinator_epoch(epochs.coordinator);
  message.set_group_epoch(epochs.group);
}

template <class Message>
Epochs read_epochs(const Message& message) {
  return {message.coordinator_epoch(), message.group_epoch()};
}

}  // namespace trireme

// The receiver of a rank's results: the coordinator, a file or a test. Called by the step loop.
#pragma once

#include "model/step_plan.h"

namespace trireme {

class ResultSink {
 public:
  virtual ~ResultSink() = default;
  // Called by the answering rank for every plan. The sink may swap the result's content away.
  virtual void on_result(StepResult& result) = 0;
  // Called by the first rank of the stage that holds the probed layer.
  virtual void on_probe(Probe& probe) = 0;
};

}  // namespace trireme

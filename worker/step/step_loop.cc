#include "worker/step/step_loop.h"

#include <limits>
#include <optional>

#include "base/spin_wait.h"

namespace trireme {

StatusOr<StepsEnd> run_steps(PlanSource& source, StepExecutor& executor) {
  SteadyClock clock;
  StepPlan plan;
  std::optional<SpinWait> patience;  // since the last plan
  while (true) {
    ASSIGN_OR_RETURN(const PlanSource::Next next, source.next(plan));
    switch (next) {
      case PlanSource::Next::kPlan:
        RETURN_IF_ERROR(executor.execute(plan));
        patience.reset();
        break;
      case PlanSource::Next::kNothingYet:
        if (!patience) patience.emplace(clock, std::numeric_limits<TimeUs>::max());
        RETURN_IF_ERROR(executor.poll());  // progress for messages in flight
        patience->wait();
        break;
      case PlanSource::Next::kNewLife:
        return StepsEnd::kNewLife;
      case PlanSource::Next::kEnd:
        RETURN_IF_ERROR(executor.finish());
        return StepsEnd::kDone;
    }
  }
}

}  // namespace trireme

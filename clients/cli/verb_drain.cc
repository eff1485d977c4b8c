#include "base/text.h"
#include "clients/cli/verbs.h"
#include "launch/process/running_coordinator.h"

namespace trireme {

namespace {

constexpr int kPollMs = 200;  // between two looks at signals

StatusOr<int> drain(const std::string& state, Terminal& terminal, Interrupts& interrupts) {
  ASSIGN_OR_RETURN(const auto coordinator, RunningCoordinator::find(state));
  RETURN_IF_ERROR(coordinator.ask_to_drain());
  terminal.note(format_text("draining the cluster of process {}", coordinator.pid()));
  while (!coordinator.wait_end(kPollMs)) {
    if (interrupts.count() == 0) continue;
    return unavailable("TRI-UP-013", "interrupted; the cluster goes on draining");
  }
  RETURN_IF_ERROR(coordinator.check_drained());
  terminal.answer_line("drained");
  return kDone;
}

}  // namespace

int verb_drain(Terminal& terminal, const Arguments& arguments) {
  std::string state;
  FlagSet flags("trireme drain",
                "ends the cluster of a state folder: new requests are refused, running ones finish "
                "within its --drain-timeout, the rest stays in its journal");
  flags.add("state", &state, "the state folder of its `trireme up`");
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  if (state.empty()) {
    return terminal.fail(
        invalid("TRI-ARGS-028", "--state is missing; give the state folder of the cluster"));
  }
  return run_interruptible(
      terminal, [&](Interrupts& interrupts) { return drain(state, terminal, interrupts); });
}

}  // namespace trireme

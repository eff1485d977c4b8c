#include "launch/group_failure.h"

#include "base/text.h"
#include "launch/supervision/mpirun_output.h"

namespace trireme {

namespace {

constexpr int kCauseMs = 1'500;  // for mpirun to print the cause of a rank's end
constexpr int kSignalled = 128;  // an exit status above it: ended by a signal

}  // namespace

std::string describe_loss(const CoordinatorEvent& lost) {
  std::string who =
      lost.rank >= 0 ? format_text("rank {}", lost.rank) : std::string("no single rank");
  if (!lost.host.empty()) who += " on " + lost.host;
  if (!lost.phase.empty()) who += format_text(" ({})", lost.phase);
  return format_text("{}: {}", who, lost.text);
}

std::string describe_end(GroupProcess& group) {
  const int status = group.process.exit_status().value_or(-1);
  if (status > kSignalled) {
    return format_text("its process was ended by signal {}", status - kSignalled);
  }
  return format_text("its process ended with status {}", status);
}

Status start_failure(GroupProcesses& groups, int index, const CoordinatorEvent* event) {
  GroupProcess& group = groups[index];
  // mpirun prints what ended a process; the coordinator only knows that it is gone.
  if (group.process.wait_exit(event != nullptr ? kCauseMs : 0)) groups.read();
  if (event == nullptr && !group.ended_us) {
    return timed_out(
        "TRI-UP-012",
        "no rank of group {} connected within {} s of its launch: {}",
        index,
        kFirstRankUs / 1'000'000,
        describe_output(group.tail, "it printed no cause", "; `trireme doctor` shows more"));
  }
  constexpr char kAdvice[] = "; --verbose shows all output";
  if (event == nullptr) {
    return unavailable("TRI-UP-011",
                       "group {} could not start: {}",
                       index,
                       describe_output(group.tail, describe_end(group), kAdvice));
  }
  std::string cause = describe_loss(*event);
  const std::string words = cause_in_output(group.tail);
  if (words.find("exited on signal") != std::string::npos) {
    cause += format_text(" (mpirun: {})", words);
  } else if (group.process.exit_status().value_or(0) > kSignalled) {
    cause += format_text(" ({})", describe_end(group));
  }
  return unavailable(
      "TRI-UP-011", "group {} could not start: {}{}", index, cause, event->memory ? "" : kAdvice);
}

}  // namespace trireme

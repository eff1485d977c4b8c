// The exit statuses of all programs. No state.
#pragma once

#include "base/status.h"

namespace trireme {

// Exit statuses of every verb (docs/operations.md).
enum ExitStatus : int {
  kDone = 0,
  kAnswerIsNo = 1,  // the verb ran and its answer is no: a mismatch, a failed request
  kBadInput = 2,    // usage, configuration or input; nothing was started
  kNoCluster = 3,   // a cluster could not be reached or started
  kInterrupted = 130,
  kReaderGone = 141,  // nobody reads standard output any more; a shell's status of SIGPIPE
};

// kBadInput for an error that the caller must fix, kNoCluster for one of the environment.
inline int exit_status_of(const Status& status) {
  if (status.ok()) return kDone;
  return status.code() == absl::StatusCode::kInvalidArgument ? kBadInput : kNoCluster;
}

}  // namespace trireme

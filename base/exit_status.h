// The exit statuses of the programs.
#pragma once

#include "base/status.h"

namespace trireme {

// Exit statuses of every verb (docs/operations.md).
enum ExitStatus : int {
  kDone = 0,
  kAnswerIsNo = 1,  // the work was done: a mismatch, a failed request
  kBadInput = 2,    // usage, configuration or input; nothing was started
  kNoCluster = 3,   // a cluster could not be reached or started
  kInterrupted = 130,
};

// kBadInput for what the caller must change, kNoCluster for what the world did not do.
inline int exit_status_of(const Status& status) {
  if (status.ok()) return kDone;
  return status.code() == absl::StatusCode::kInvalidArgument ? kBadInput : kNoCluster;
}

}  // namespace trireme

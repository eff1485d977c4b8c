// The coordinator's lines in the log (base/log.h): configuration, doors, ranks, groups, refusals of
// clients, drain and end. Never a line per step; no request id, prompt or key, which are secrets: a
// refusal names the number of the connection and the client's own tag. Belongs to the loop's
// thread.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/coordinator_options.h"
#include "coordinator/doors/clients/front_door.h"
#include "coordinator/doors/ranks/notices.h"
#include "coordinator/doors/transport.h"
#include "coordinator/engine/engine.h"

namespace trireme {

class CoordinatorLog {
 public:
  static constexpr int kRefusalsPerSecond = 10;  // a client decides how often it is refused

  void started(const CoordinatorOptions& options, const std::string& fingerprint);
  void doors_open(const DoorEndpoints& endpoints);
  void notice(const Notice& notice);
  void refusal(const Refusal& refusal, TimeUs now_us);
  void journal_failure(const Status& failure);
  void draining(const EngineStatus& status);
  // `stopped`: by a signal or its parent; else drained.
  void ended(bool stopped, const EngineStatus& status);

 private:
  LogLimit refusals_{kRefusalsPerSecond};
};

}  // namespace trireme

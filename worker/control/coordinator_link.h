// A rank's link to the coordinator. Its control thread owns the connection (DoorConnection): it
// sends heartbeats and results, receives plans, and watches the step loop. It ends the process at
// once when the coordinator sends Fence or when the step loop hangs, because a group is fail-stop.
// When the connection is lost it looks for the coordinator's successor for 60 s, if there can be
// one; what is said and obeyed meanwhile is RankLife's to decide.
//
// Bounded queues connect the two threads; the step loop calls the public functions.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "proto/step_messages.h"
#include "proto/worker_key.h"
#include "worker/control/plan_source.h"
#include "worker/control/progress.h"
#include "worker/control/result_sink.h"
#include "worker/control/watchdog.h"

namespace trireme {

struct LinkOptions {
  std::string endpoint;  // of the coordinator's worker door: tcp://HOST:PORT
  int32_t group = 0;
  int32_t rank = 0;
  int32_t tp = 1;
  int32_t pp = 1;
  std::string host;
  std::optional<WorkerKey> key;  // CURVE
  TimeUs connect_timeout_us = 10'000'000;
  TimeUs start_timeout_us = 120'000'000;  // other ranks may load longer
  Watchdog::Limits watchdog;
};

class CoordinatorLink final : public PlanSource, public ResultSink {
 public:
  // Starts the thread, which connects in the background; without a connection within
  // connect_timeout_us it ends the process. TRI-GRP-015: not an endpoint.
  static StatusOr<std::unique_ptr<CoordinatorLink>> open(const LinkOptions& options,
                                                         Progress& progress);
  ~CoordinatorLink() override;

  // Announces the loaded rank and waits for Start. TRI-GRP-016: none came within start_timeout_us.
  StatusOr<Start> announce(const RankHello& hello);
  // Of the life that announce() or next() told of last.
  const Start& start() const { return start_; }
  // Reports that the rank is ready for step 1 of this epoch.
  void send_started(const Epochs& epochs);
  // Reports the cause of an exit; returns when the message has left, or after one second and the
  // socket's linger. Nothing may be called after it.
  void send_goodbye(const Status& cause);

  StatusOr<Next> next(StepPlan& plan) override;
  void on_result(StepResult& result) override;
  void on_probe(Probe& probe) override;

 private:
  class Control;

  explicit CoordinatorLink(std::unique_ptr<Control> control);
  bool take_new_life();

  std::unique_ptr<Control> control_;
  const LinkOptions* options_;
  Start start_;
  Status status_;  // of the queues to the control thread
};

}  // namespace trireme

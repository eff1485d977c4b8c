// A rank's connection to the coordinator: one ZeroMQ DEALER in a thread of its own (`control`),
// which heartbeats, brings plans, takes results, and watches the step loop. It ends the process at
// once when the coordinator says FENCE, when the connection is lost, or when the step loop hangs:
// a group ends whole.
//
// Between the threads stand bounded queues. The step loop calls everything here but the thread
// itself. Whatever carries other epochs than this life's is dropped.
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
  std::string endpoint;  // tcp://HOST:PORT of the coordinator's worker door
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
  // Starts the thread; the connection comes in the background, within its timeout.
  // TRI-GRP-015: not an endpoint.
  static StatusOr<std::unique_ptr<CoordinatorLink>> open(const LinkOptions& options,
                                                         Progress& progress);
  ~CoordinatorLink() override;

  // The rank has loaded: says so and waits for Start. TRI-GRP-016: none came.
  StatusOr<Start> introduce(const RankHello& hello);
  // Ready for step 1 of this epoch.
  void say_started(const Epochs& epochs);
  // The rank is about to exit; returns when the word has left, or after two seconds. Nothing may be
  // called after it.
  void say_goodbye(const Status& cause);

  StatusOr<Next> next(StepPlan& plan) override;
  void on_result(StepResult& result) override;
  void on_probe(Probe& probe) override;

 private:
  class Control;

  explicit CoordinatorLink(std::unique_ptr<Control> control);

  std::unique_ptr<Control> control_;
  const LinkOptions* options_;
  Epochs epochs_;
  Status status_;  // of the queues
};

}  // namespace trireme

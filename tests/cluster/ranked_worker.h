// A model under test on some of the ranks of one mpirun: many models, partitions and scripts run in
// one launch, because starting processes costs more than these models do. Every rank makes the same
// calls; ranks outside the partition wait. Every rank gets the outcome of a run.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "model/checkpoint/model_source.h"
#include "tests/cluster/outcome.h"
#include "tests/cluster/scripted_plans.h"
#include "worker/comm/group_comms.h"
#include "worker/comm/mpi_session.h"
#include "worker/worker.h"

namespace trireme {

// The ranks of the launch, and the communicators of each partition used so far.
class TestWorld {
 public:
  explicit TestWorld(MpiSession& session);

  int rank() const { return session_.rank(); }
  int size() const { return session_.size(); }
  GroupComms* group(Partition partition);  // null outside the partition
  // The bytes of rank `root`, on every rank.
  void share(std::vector<std::byte>& bytes, int root);

 private:
  MpiSession& session_;
  std::unique_ptr<GroupComms> all_;
  std::map<std::pair<int, int>, std::unique_ptr<GroupComms>> groups_;
};

class RankedWorker {
 public:
  // The model must load: anything else fails the test.
  RankedWorker(TestWorld& world, ModelSource& source, Partition partition, WorkerOptions options);
  ~RankedWorker();

  // Runs the requests as one script; slot i is request i.
  Outcome run(const std::vector<ScriptedRequest>& requests, int cohorts = 1);

  bool ok() const { return ok_; }
  Worker* worker() { return worker_.get(); }

 private:
  TestWorld& world_;
  const Partition partition_;
  const ModelSource& source_;
  const WorkerOptions options_;
  Progress progress_;
  std::unique_ptr<OutcomeFrames> collector_;
  std::unique_ptr<Worker> worker_;  // null outside the partition
  int64_t next_step_ = 1;
  bool ok_ = true;
};

// Runs all tests of a program on every rank; only rank 0 prints, the others print failures.
int run_rank_tests(int argc, char** argv);
// The launch that the program runs under; valid inside tests.
TestWorld& test_world();

}  // namespace trireme

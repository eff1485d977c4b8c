// The lifetime of one rank of a group: link to the coordinator, load, steps, end. A process runs
// one rank, or several, each in its own thread (--local-ranks); a rank that fails ends the process.
// Made, used and destroyed by one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/trace.h"
#include "model/checkpoint/model_source.h"
#include "worker/comm/group_comms.h"
#include "worker/control/coordinator_link.h"
#include "worker/worker.h"
#include "worker/worker_flags.h"

namespace trireme {

// The place of a rank, and how it gets its communicators.
struct RankPlace {
  int rank = 0;
  std::string host;
  std::string description;  // one line for people
  int ranks_on_host = 1;
  int device = 0;                                           // of CUDA
  std::function<std::unique_ptr<GroupComms>()> make_group;  // collective
};

class Rank {
 public:
  Rank(WorkerFlags flags, RankPlace place) : flags_(std::move(flags)), place_(std::move(place)) {}

  Status run();
  // All ranks have agreed that the group cannot start: an orderly end before anything was loaded.
  bool refused() const { return refused_; }

 private:
  Status load_and_run();
  void log_start() const;
  void log_configuration() const;
  Status open_link();
  Status open_source();
  Status first_failure(const Status& own);
  Status load();
  void print_memory_use() const;
  void print_refused_matmuls() const;
  Status serve();
  Status begin_life(const Start& start);
  Status run_file();
  std::string trace_path() const;  // of this rank
  Status write_trace();

  const WorkerFlags flags_;
  const RankPlace place_;
  Progress progress_;
  std::unique_ptr<CoordinatorLink> link_;
  std::unique_ptr<GroupComms> comms_;
  std::unique_ptr<ModelSource> source_;
  std::unique_ptr<Trace> trace_;
  std::unique_ptr<Worker> worker_;
  bool refused_ = false;
};

}  // namespace trireme

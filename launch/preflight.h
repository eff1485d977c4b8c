// Everything about a cluster that can be known before a process starts: flags, config, every header
// against the tensor table, the cut, the tokenizer, memory by the planner, the hosts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/cluster_flags.h"
#include "launch/command_lines.h"
#include "launch/device_report.h"
#include "model/checkpoint/model_source.h"
#include "model/planner.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

struct Preflight {
  ModelSource source;
  std::unique_ptr<const Tokenizer> tokenizer;  // null: the model has none
  BackendChoice backend;
  GroupPlan plan;
  std::vector<HostSlots> hosts;       // empty: this machine
  std::vector<std::string> warnings;  // that do not stop anything

  // What is to be told of a group's launch beside where its plans come from.
  WorkerLaunch launch_of(const ClusterFlags& flags, int group) const;
  int64_t vocabulary_limit() const { return tokenizer ? tokenizer->vocabulary_size() : 0; }
};

// `memory_bytes`: what a rank may use; 0: not known.
PlanRequest plan_request(const ClusterFlags& flags,
                         const std::string& backend,
                         int64_t memory_bytes);

// TRI-CUDA-002, TRI-UP-001..007, TRI-UP-017, TRI-UP-018, TRI-CONF, TRI-LOAD, TRI-TOK, TRI-PLAN: all
// of them bad input, nothing started.
StatusOr<Preflight> check_before_launch(const ClusterFlags& flags);

// TRI-UP-008: a host of the hostfile does not answer within a few seconds (named).
Status check_hosts_answer(const ClusterFlags& flags, const std::vector<HostSlots>& hosts);

}  // namespace trireme

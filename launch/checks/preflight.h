// Checks of a launch before any process of it starts: flags, config, tensor headers against the
// tensor table, partition, tokenizer, memory by the planner, hosts. Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "launch/checks/device_report.h"
#include "launch/command_lines/cluster_flags.h"
#include "launch/command_lines/command_lines.h"
#include "model/chat/chat_format.h"
#include "model/checkpoint/model_source.h"
#include "model/planner.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

struct Preflight {
  ModelSource source;
  std::unique_ptr<const Tokenizer> tokenizer;  // null: the model has none
  std::unique_ptr<const ChatFormat> chat;      // null: `no_chat` says why chats are refused
  Status no_chat = ok_status();
  BackendChoice backend;
  GroupPlan plan;
  std::vector<HostSlots> hosts;       // empty: this machine
  MpirunVersion mpirun;               // of PATH; the default where no mpirun is needed
  std::vector<std::string> warnings;  // shown; they do not stop the launch

  // The launch of a group, without the fields that depend on a running coordinator.
  WorkerLaunch launch_of(const ClusterFlags& flags, int group) const;
  // The maximum length that --max-model-len asks for, by default that of the model; the groups may
  // have less.
  int64_t requested_model_len(const ClusterFlags& flags) const {
    return flags.max_model_len > 0 ? flags.max_model_len : source.config.max_positions;
  }
  int64_t vocabulary_limit() const { return tokenizer ? tokenizer->vocabulary_size() : 0; }
};

// `memory_bytes`: memory available to a rank; 0: unknown.
PlanRequest plan_request(const ClusterFlags& flags,
                         const std::string& backend,
                         int64_t memory_bytes);

// Errors: TRI-CUDA-002, TRI-UP-001..007, -009, -015, -017..019, -040..042, TRI-CONF, TRI-LOAD,
// TRI-TOK, TRI-PLAN; bad input in every case, and nothing was started.
StatusOr<Preflight> check_before_launch(const ClusterFlags& flags);

// Runs `true` on every host through the launch agent. TRI-UP-008: a host (named) does not answer
// within 8 s.
Status check_hosts_answer(const ClusterFlags& flags, const std::vector<HostSlots>& hosts);

}  // namespace trireme

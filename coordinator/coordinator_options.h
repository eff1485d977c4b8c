// Options of trireme-coordinator, from flags, environment and file (base/flags.h).
#pragma once

#include <cstdint>
#include <string>

#include "base/flags.h"
#include "base/journal_flags.h"
#include "base/log_flags.h"
#include "coordinator/doors/zmq_doors.h"
#include "model/planner.h"

namespace trireme {

struct CoordinatorOptions {
  std::string model;
  std::string served_model_name;  // "": the last component of --model
  std::string chat_template;      // a file; "": the model's own
  DoorAddress clients{"127.0.0.1", 8900};
  DoorAddress workers{"127.0.0.1", 0};
  bool insecure = false;
  std::string state_dir;
  int groups = 1;
  int max_slots = kDefaultMaxSlots;
  int64_t max_batched_tokens = 0;  // per step; 0: the limit of the group
  int max_waiting_requests = 4096;
  int64_t max_waiting_bytes = 256ll << 20;
  int tokenizer_threads = 1;
  uint64_t weights_seed = 0;
  bool prefix_caching = true;
  bool allow_probes = false;
  bool worker_curve = false;
  bool keep_worker_key = false;
  bool control_on_stdin = false;
  std::string trace_file;
  JournalFlags journal;
  LogFlags log;
};

void add_flags(FlagSet& flags, CoordinatorOptions& options);

// TRI-ARGS-010: --model is missing; a count below 1 or a port out of range.
Status check(const CoordinatorOptions& options);

// The model name that clients use.
std::string served_name(const CoordinatorOptions& options);

}  // namespace trireme

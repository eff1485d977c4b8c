#include "coordinator/coordinator_options.h"

#include "base/utf8.h"

namespace trireme {

void add_flags(FlagSet& flags, CoordinatorOptions& options) {
  flags.add("model", &options.model, "folder of the model, or dummy:SHAPE", "Model");
  flags.add("served-model-name", &options.served_model_name, "its name for clients", "Model");
  flags.add("chat-template",
            &options.chat_template,
            "file of a chat template, in place of the model's own",
            "Model");
  flags.add("weights-seed", &options.weights_seed, "of dummy: weights", "Model");
  flags.add("host", &options.clients.host, "address of the client door", "Doors");
  flags.add("port", &options.clients.port, "its port; 0: any free one", "Doors");
  flags.add("insecure", &options.insecure, "allow the client door off loopback", "Doors");
  flags.add("worker-host", &options.workers.host, "address of the worker door", "Doors");
  flags.add("worker-port", &options.workers.port, "its port; 0: any free one", "Doors");
  flags.add("worker-curve",
            &options.worker_curve,
            "encrypt the worker door on loopback, too (off loopback it always is)",
            "Doors");
  flags.add("keep-worker-key",
            &options.keep_worker_key,
            "use the worker door's key in --state again: its ranks wait for this coordinator",
            "Doors");
  flags.add("groups", &options.groups, "replicas that may come", "Cluster");
  flags.add("state", &options.state_dir, "folder for worker.key and the journal", "Cluster");
  add_journal_flags(flags, options.journal, "Cluster");
  flags.add("max-num-seqs", &options.max_slots, "requests that run at once", "Scheduling");
  flags.add_length("max-num-batched-tokens",
                   &options.max_batched_tokens,
                   "tokens of a step; 0: as many as a group takes",
                   "Scheduling");
  flags.add(
      "max-waiting-requests", &options.max_waiting_requests, "bound of the queue", "Scheduling");
  flags.add_size(
      "max-waiting-bytes", &options.max_waiting_bytes, "bound of the queue", "Scheduling");
  flags.add("enable-prefix-caching",
            &options.prefix_caching,
            "share pages of equal prefixes",
            "Scheduling");
  flags.add("tokenizer-threads", &options.tokenizer_threads, "that encode prompts", "Scheduling");
  flags.add("allow-probes", &options.allow_probes, "let clients read logits (verify)", "Debugging");
  flags.add(
      "trace", &options.trace_file, "write a timeline of plans, an event a line", "Debugging");
  add_log_flags(flags, options.log, "Debugging");
  flags.add("control-on-stdin",
            &options.control_on_stdin,
            "obey `drain` and `stop` on standard input; its end stops",
            "Debugging");
}

Status check(const CoordinatorOptions& options) {
  if (options.model.empty()) {
    return invalid("TRI-ARGS-010", "--model is missing; give a model folder or dummy:SHAPE");
  }
  RETURN_IF_ERROR(check_utf8(options.served_model_name, "--served-model-name"));
  RETURN_IF_ERROR(check_journal_flags(options.journal));
  const auto bounds = {
      std::tuple<const char*, int64_t, int64_t, int64_t>("port", options.clients.port, 0, 65535),
      {"worker-port", options.workers.port, 0, 65535},
      {"groups", options.groups, 1, 1024},
      {"max-num-seqs", options.max_slots, 1, 65536},
      {"max-num-batched-tokens", options.max_batched_tokens, 0, 1 << 20},
      {"max-waiting-requests", options.max_waiting_requests, 1, 1 << 24},
      {"tokenizer-threads", options.tokenizer_threads, 1, 256}};
  for (const auto& [name, value, low, high] : bounds) {
    if (value >= low && value <= high) continue;
    return invalid("TRI-ARGS-010", "--{} is {}, allowed is {} to {}", name, value, low, high);
  }
  return ok_status();
}

std::string served_name(const CoordinatorOptions& options) {
  if (!options.served_model_name.empty()) return options.served_model_name;
  std::string name = options.model;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  return escape_not_utf8(name.substr(name.rfind('/') + 1));
}

}  // namespace trireme

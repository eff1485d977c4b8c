#include "launch/command_lines/command_lines.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <sstream>

#include "base/host_info.h"
#include "base/text.h"
#include "base/utf8.h"
#include "launch/process/inherited_environment.h"
#include "launch/process/temporary_folder.h"

namespace trireme {

namespace {

// Children do not read the configuration file: its keys are flags of the verb, which children get
// as arguments where they know them.
const std::pair<std::string, std::string> kNoConfigFile = {"TRIREME_CONFIG", ""};

Status bad_line(const std::string& path, int number, const std::string& line) {
  return invalid("TRI-UP-004",
                 "{} line {}: \"{}\" is not understood; write: HOST slots=N",
                 path,
                 number,
                 line.substr(0, 80));
}

void add(std::vector<std::string>& arguments, std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
}

void add_gpu_arguments(const ClusterFlags& flags,
                       const WorkerLaunch& launch,
                       std::vector<std::string>& arguments) {
  add(arguments, {flags.invariant ? "--invariant" : "--no-invariant"});
  if (launch.first_gpu > 0) add(arguments, {"--first-device", format_text("{}", launch.first_gpu)});
  if (!flags.nccl_interface.empty()) add(arguments, {"--nccl-interface", flags.nccl_interface});
  if (!flags.nccl_adapters.empty()) add(arguments, {"--nccl-adapters", flags.nccl_adapters});
  if (!flags.nccl_infiniband) add(arguments, {"--no-nccl-infiniband"});
}

void add_log_arguments(const ClusterFlags& flags,
                       const std::string& log_file,
                       std::vector<std::string>& arguments) {
  add(arguments, {"--log-level", flags.log.level});
  if (!log_file.empty()) add(arguments, {"--log-file", log_file});
}

void add_worker_arguments(const ClusterFlags& flags,
                          const WorkerLaunch& launch,
                          std::vector<std::string>& arguments) {
  add(arguments, {program_folder() + "/trireme-worker", "--model", flags.model});
  add(arguments, {"-tp", format_text("{}", flags.tp), "-pp", format_text("{}", flags.pp)});
  add(arguments, {"--backend", launch.backend});
  if (launch.backend == "cuda") add_gpu_arguments(flags, launch, arguments);
  add(arguments, {"--dtype", flags.dtype, "--threads", format_text("{}", flags.threads)});
  add(arguments, {"--isa", flags.isa, "--weights-seed", format_text("{}", flags.weights_seed)});
  add(arguments, {"--max-num-seqs", format_text("{}", flags.max_slots)});
  add(arguments, {"--max-num-batched-tokens", format_text("{}", flags.max_batched_tokens)});
  add(arguments, {"--max-model-len", format_text("{}", flags.max_model_len)});
  add(arguments, {"--kv-memory", format_text("{}", flags.kv_memory_bytes)});
  if (launch.vocabulary_limit > 0)
    add(arguments, {"--vocabulary-limit", format_text("{}", launch.vocabulary_limit)});
  if (!flags.trace.empty()) {
    add(arguments, {"--trace", format_text("{}.group{}", flags.trace, launch.group)});
  }
  add_log_arguments(flags, launch.log_file, arguments);
  if (launch.bench_step.empty()) {
    add(arguments,
        {"--coordinator", launch.worker_endpoint, "--group", format_text("{}", launch.group)});
  } else {
    add(arguments, {"--bench-step", launch.bench_step});
  }
}

}  // namespace

StatusOr<std::vector<HostSlots>> read_hostfile(const std::string& path, int ranks) {
  std::ifstream file(path);
  if (!file) return invalid("TRI-UP-004", "--hostfile {} cannot be read", path);
  std::vector<HostSlots> hosts;
  int slots = 0;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    HostSlots host;
    if (!(words >> host.host)) continue;
    for (std::string word; words >> word;) {
      if (word.starts_with("max_slots=") || word.starts_with("max-slots=")) continue;
      const char* begin = word.data() + std::min<size_t>(6, word.size());
      const auto [end, error] = std::from_chars(begin, word.data() + word.size(), host.slots);
      if (!word.starts_with("slots=") || error != std::errc() || host.slots < 1 ||
          end != word.data() + word.size()) {
        return bad_line(path, number, line);
      }
    }
    if (host.host.find_first_of("=,:\"'") != std::string::npos || host.host.starts_with("-")) {
      return bad_line(path, number, line);
    }
    slots += host.slots;
    hosts.push_back(host);
  }
  if (slots < ranks) {
    return invalid("TRI-UP-004",
                   "--hostfile {} has {} slots, the cluster needs {} ranks; add hosts or slots, or "
                   "lower -tp, -pp or --groups",
                   path,
                   slots,
                   ranks);
  }
  return hosts;
}

std::vector<HostSlots> slots_of_group(const std::vector<HostSlots>& hosts, int index, int ranks) {
  std::vector<HostSlots> mine;
  int skip = index * ranks;
  int wanted = ranks;
  for (const HostSlots& host : hosts) {
    const int free = std::max(0, host.slots - skip);
    skip = std::max(0, skip - host.slots);
    const int taken = std::min(free, wanted);
    if (taken > 0) mine.push_back({host.host, taken});
    wanted -= taken;
  }
  return mine;
}

int slots_before_group(const std::vector<HostSlots>& hosts, int index, int ranks) {
  int before = index * ranks;
  for (const HostSlots& host : hosts) {
    if (before < host.slots) return before;
    before -= host.slots;
  }
  return before;
}

std::vector<std::string> agent_command(const std::string& agent, const std::string& host) {
  std::vector<std::string> command = split(agent, ' ');
  if (command.front() == "ssh") {
    for (const char* extra : {"-o", "BatchMode=yes", "-o", "ConnectTimeout=6"}) {
      command.emplace_back(extra);
    }
  }
  command.push_back(host);
  return command;
}

bool is_one_process(const ClusterFlags& flags, const WorkerLaunch& launch) {
  return launch.local_ranks > 1 || (launch.hosts.empty() && flags.num_ranks() == 1);
}

ProcessOptions ranks_command(const ClusterFlags& flags, const WorkerLaunch& launch) {
  if (!is_one_process(flags, launch)) return mpirun_command(flags, launch);
  ProcessOptions options;
  options.death_signal = SIGTERM;
  options.removed = inherited_launch_variables();
  add_worker_arguments(flags, launch, options.arguments);
  add(options.arguments, {"--local-ranks", format_text("{}", launch.local_ranks)});
  options.environment.push_back(kNoConfigFile);
  if (!launch.worker_key.empty()) {
    options.environment.emplace_back("TRIREME_WORKER_KEY", launch.worker_key);
  }
  return options;
}

ProcessOptions mpirun_command(const ClusterFlags& flags, const WorkerLaunch& launch) {
  ProcessOptions options;
  options.death_signal = SIGTERM;
  if (launch.hosts.empty()) options.removed = inherited_launch_variables();
  std::vector<std::string>& arguments = options.arguments;
  add(arguments, {"mpirun", "-np", format_text("{}", flags.num_ranks())});
  MpirunPlace place;
  place.hosts = launch.hosts;
  place.agent = flags.launch_agent;
  place.interface = flags.interface;
  place.passes_key = !launch.worker_key.empty();
  for (std::string& word : mpirun_options(launch.mpirun, place)) {
    arguments.push_back(std::move(word));
  }
  add_worker_arguments(flags, launch, arguments);

  auto& variables = options.environment;
  variables.push_back(kNoConfigFile);
  if (::geteuid() == 0) {
    variables.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    variables.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  if (const auto folder = tmpdir_for_mpi()) variables.emplace_back("TMPDIR", *folder);
  // The default store of PMIx locks files in a way that some containers' file systems refuse.
  variables.emplace_back("PMIX_MCA_gds", "hash");
  if (!launch.worker_key.empty()) variables.emplace_back("TRIREME_WORKER_KEY", launch.worker_key);
  return options;
}

// $'...': bash reads the escapes of bytes that are not UTF-8.
static std::string dollar_quoted(const std::string& word) {
  std::string text;
  for (const char c : word) {
    if (c == '\\' || c == '\'') text += '\\';
    text += c;
  }
  return format_text("$'{}'", escape_not_utf8(text));
}

std::string shell_word(const std::string& word) {
  if (!is_utf8(word)) return dollar_quoted(word);
  const bool is_plain =
      !word.empty() && word.find_first_of(" \t\n\"'\\$`|&;<>()*?[]{}~#!") == std::string::npos;
  if (is_plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string shell_line(const ProcessOptions& command) {
  std::vector<std::string> words;
  for (const auto& [name, value] : command.environment) {
    words.push_back(name + "=" + (value.empty() ? "" : shell_word(value)));
  }
  for (const std::string& argument : command.arguments) words.push_back(shell_word(argument));
  return join(words, " ");
}

std::string coordinator_trace(const ClusterFlags& flags) { return flags.trace + ".coordinator"; }

ProcessOptions coordinator_command(const ClusterFlags& flags, const CoordinatorLaunch& launch) {
  ProcessOptions options;
  options.pipe_stdin = true;
  options.death_signal = SIGKILL;
  std::vector<std::string>& arguments = options.arguments;
  add(arguments, {program_folder() + "/trireme-coordinator", "--control-on-stdin"});
  add(arguments, {"--model", flags.model, "--weights-seed", format_text("{}", flags.weights_seed)});
  add(arguments, {"--groups", format_text("{}", flags.groups), "--state", launch.state});
  add(arguments, {"--journal", launch.journal ? "on" : "off"});
  add(arguments, {flags.journal.fsync ? "--fsync" : "--no-fsync"});
  add(arguments, {"--journal-size", format_text("{}", flags.journal.bytes)});
  add(arguments, {"--answer-ttl", flags.journal.answer_ttl});
  add(arguments, {"--drain-timeout", launch.drain_timeout});
  add(arguments, {"--host", launch.host, "--port", format_text("{}", launch.port)});
  add(arguments, {"--worker-host", flags.worker_host});
  add(arguments, {"--worker-port", format_text("{}", launch.worker_port)});
  add(arguments, {"--max-num-seqs", format_text("{}", flags.max_slots)});
  add(arguments, {"--max-num-batched-tokens", format_text("{}", flags.max_batched_tokens)});
  if (!flags.served_model_name.empty()) {
    add(arguments, {"--served-model-name", flags.served_model_name});
  }
  if (!flags.chat_template.empty()) add(arguments, {"--chat-template", flags.chat_template});
  // Passed on or off: a flag overrides its variable, which the environment may hold.
  add(arguments,
      {flags.prefix_caching ? "--enable-prefix-caching" : "--no-enable-prefix-caching",
       flags.insecure ? "--insecure" : "--no-insecure",
       launch.keep_worker_key ? "--keep-worker-key" : "--no-keep-worker-key",
       launch.allow_probes ? "--allow-probes" : "--no-allow-probes"});
  if (!flags.trace.empty()) add(arguments, {"--trace", coordinator_trace(flags)});
  add_log_arguments(flags, launch.log_file, arguments);
  options.environment = {kNoConfigFile};
  return options;
}

}  // namespace trireme

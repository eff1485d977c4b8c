// plan: memory of each rank and command lines of a partition, computed from the headers of the
// files.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/json_text.h"
#include "clients/cli/verbs.h"
#include "launch/checks/preflight.h"
#include "launch/command_lines/command_lines.h"
#include "model/checkpoint/model_source.h"
#include "model/checkpoint/tensor_check.h"
#include "model/planner.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kTypicalTokens = 2048;  // length of a usual conversation
constexpr size_t kShownPartitions = 12;

std::string cell(std::string text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text + "  ";
}

std::string bytes_cell(int64_t bytes) { return cell(format_bytes(static_cast<double>(bytes)), 9); }

int64_t sequences_of(const GroupPlan& plan, int64_t tokens) {
  const int64_t pages = (tokens + plan.page_tokens - 1) / plan.page_tokens;
  return pages > 0 ? plan.pages / pages : 0;
}

Json to_json(const GroupPlan& plan, const std::string& mpirun_line) {
  Json ranks = Json::array();
  for (const RankPlan& rank : plan.ranks) {
    ranks.push_back({{"rank", rank.rank},
                     {"stage", rank.stage},
                     {"tensor_index", rank.tensor_index},
                     {"first_layer", rank.layers.begin},
                     {"layers", rank.layers.size()},
                     {"heads", rank.num_heads},
                     {"kv_heads", rank.num_kv_heads},
                     {"weight_bytes", rank.weight_bytes},
                     {"replicated_bytes", rank.replicated_bytes},
                     {"communicator_bytes", rank.communicator_bytes},
                     {"activation_bytes", rank.activation_bytes},
                     {"workspace_bytes", rank.workspace_bytes},
                     {"process_bytes", rank.process_bytes},
                     {"module_bytes", rank.module_bytes},
                     {"reserve_bytes", rank.reserve_bytes},
                     {"kv_bytes_per_token", rank.page_bytes / plan.page_tokens},
                     {"kv_bytes", plan.pages * rank.page_bytes},
                     {"total_bytes", rank.fixed_bytes() + plan.pages * rank.page_bytes}});
  }
  return {{"tp", plan.tp},
          {"pp", plan.pp},
          {"backend", plan.backend},
          {"fits", plan.fits},
          {"missing_bytes", std::max<int64_t>(plan.short_bytes, 0)},
          {"weight_bytes", plan.weight_bytes()},
          {"pages", plan.pages},
          {"page_tokens", plan.page_tokens},
          {"kv_tokens", plan.kv_tokens()},
          {"max_model_len", plan.max_model_len},
          {"sequences_full_length", sequences_of(plan, plan.max_model_len)},
          {"sequences_2048_tokens", sequences_of(plan, kTypicalTokens)},
          {"wire_bytes_per_token", plan.wire_bytes},
          {"mpirun", mpirun_line},
          {"ranks", ranks}};
}

// Explains the column "other".
void print_other(Terminal& terminal, const std::string& backend, const RankPlan& rank) {
  const auto show = [](int64_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  terminal.answer_line(format_text(
      "other     {}",
      backend == "cuda"
          ? format_text(
                "workspace {}, communicators {}, context, modules and graphs {}, reserve {}",
                show(rank.workspace_bytes),
                show(rank.communicator_bytes),
                show(rank.module_bytes),
                show(rank.reserve_bytes))
          : format_text("the process with MPI {}", show(rank.process_bytes))));
}

void print_table(Terminal& terminal, const GroupPlan& plan) {
  terminal.answer_line(terminal.paint_out(
      Style::kBold,
      "rank  stage  layers    heads/kv    weights  activations      other   KV/token         KV"
      "      total"));
  for (const RankPlan& rank : plan.ranks) {
    const int64_t kv_bytes = plan.pages * rank.page_bytes;
    const int64_t other = rank.fixed_bytes() - rank.weight_bytes - rank.activation_bytes;
    terminal.answer_line(cell(format_text("{}", rank.rank), 4) +
                         cell(format_text("{}", rank.stage), 5) +
                         cell(format_text("{}-{}", rank.layers.begin, rank.layers.end - 1), 6) +
                         cell(format_text("{}/{}", rank.num_heads, rank.num_kv_heads), 9) +
                         bytes_cell(rank.weight_bytes) +
                         cell(format_bytes(static_cast<double>(rank.activation_bytes)), 11) +
                         bytes_cell(other) + bytes_cell(rank.page_bytes / plan.page_tokens) +
                         bytes_cell(kv_bytes) + bytes_cell(rank.fixed_bytes() + kv_bytes));
  }
}

void print_plan(Terminal& terminal,
                const GroupPlan& plan,
                int64_t memory_bytes,
                const std::string& model,
                const std::string& mpirun_line) {
  print_table(terminal, plan);
  terminal.answer_line("");
  print_other(terminal, plan.backend, plan.ranks.front());
  if (!plan.fits) {
    return terminal.answer_line(
        terminal.paint_out(Style::kBad, "does not fit") +
        (memory_bytes > 0 ? format_text(": the fullest rank lacks {} of {}",
                                        format_bytes(static_cast<double>(plan.short_bytes)),
                                        format_bytes(static_cast<double>(memory_bytes)))
                          : std::string(": too little KV memory for one sequence")));
  }
  terminal.answer_line(format_text(
      "KV        {} tokens in {} pages of {}", plan.kv_tokens(), plan.pages, plan.page_tokens));
  std::string sequences =
      format_text("{} of {} tokens", sequences_of(plan, plan.max_model_len), plan.max_model_len);
  if (plan.max_model_len > kTypicalTokens) {
    sequences += format_text(", or {} of {}", sequences_of(plan, kTypicalTokens), kTypicalTokens);
  }
  terminal.answer_line("sequences " + sequences);
  terminal.answer_line(format_text("wire      {} per token from each rank",
                                   format_bytes(static_cast<double>(plan.wire_bytes))));
  terminal.answer_line(format_text("start     trireme up --model {} -tp {} -pp {} --backend {}",
                                   shell_word(model),
                                   plan.tp,
                                   plan.pp,
                                   plan.backend));
  terminal.answer_line("by hand   " + mpirun_line);
}

void print_partitions(Terminal& terminal, const std::vector<GroupPlan>& plans) {
  terminal.answer_line(terminal.paint_out(
      Style::kBold, " -tp   -pp  ranks  fullest rank  KV tokens  sequences  wire/token"));
  for (size_t i = 0; i < std::min(plans.size(), kShownPartitions); ++i) {
    const GroupPlan& plan = plans[i];
    const std::string fixed = format_bytes(static_cast<double>(plan.max_fixed_bytes()));
    terminal.answer_line(
        cell(format_text("{}", plan.tp), 4) + cell(format_text("{}", plan.pp), 4) +
        cell(format_text("{}", plan.ranks.size()), 5) + cell(fixed, 12) +
        (plan.fits
             ? cell(format_text("{}", plan.kv_tokens()), 9) +
                   cell(format_text("{}", sequences_of(plan, plan.max_model_len)), 9) +
                   cell(format_bytes(static_cast<double>(plan.wire_bytes)), 10)
             : terminal.paint_out(
                   Style::kBad,
                   format_text("lacks {}", format_bytes(static_cast<double>(plan.short_bytes))))));
  }
  if (plans.size() > kShownPartitions) {
    terminal.answer_line(
        format_text("({} more; --json lists them)", plans.size() - kShownPartitions));
  }
}

struct PlanVerb {
  ClusterFlags cluster_flags;
  int devices = 0;
  int64_t device_memory_bytes = 0;
  bool json = false;

  Status run(Terminal& terminal, bool one_partition) const;
  StatusOr<std::string> backend_of_plan() const;
  std::string mpirun_line(const GroupPlan& plan,
                          const std::vector<HostSlots>& hosts,
                          const MpirunVersion& mpirun) const;
};

// Plans are computed for any backend; only `auto` looks at this machine.
StatusOr<std::string> PlanVerb::backend_of_plan() const {
  if (cluster_flags.backend != "auto") return cluster_flags.backend;
  ASSIGN_OR_RETURN(const BackendChoice choice, choose_backend(cluster_flags));
  return choice.backend;
}

// The command line that starts group 0 by hand. PORT stands for the worker door's port if
// --worker-port leaves it to the coordinator, KEY for the content of its file worker.key.
std::string PlanVerb::mpirun_line(const GroupPlan& plan,
                                  const std::vector<HostSlots>& hosts,
                                  const MpirunVersion& mpirun) const {
  ClusterFlags flags = cluster_flags;
  flags.tp = plan.tp;
  flags.pp = plan.pp;
  WorkerLaunch launch;
  launch.backend = plan.backend;
  launch.log_file = flags.log.file;
  launch.worker_endpoint =
      format_text("tcp://{}:{}",
                  flags.worker_host,
                  flags.worker_port > 0 ? format_text("{}", flags.worker_port) : "PORT");
  launch.hosts = slots_of_group(hosts, 0, flags.num_ranks());
  if (!hosts.empty()) launch.worker_key = "KEY";
  launch.mpirun = mpirun;
  return shell_line(mpirun_command(flags, launch));
}

Status PlanVerb::run(Terminal& terminal, bool one_partition) const {
  RETURN_IF_ERROR(check_cluster_flags(cluster_flags));
  ASSIGN_OR_RETURN(const ModelSource source,
                   open_model(cluster_flags.model, cluster_flags.weights_seed));
  for (const std::string& note : source.notes) terminal.warn(note);
  ASSIGN_OR_RETURN(const auto unused,
                   check_tensors(TensorTable(source.config), *source.checkpoint));
  if (!unused.empty()) terminal.warn(unused_warning(unused));
  ASSIGN_OR_RETURN(const std::string backend, backend_of_plan());
  const PlanRequest request = plan_request(cluster_flags, backend, device_memory_bytes);
  std::vector<HostSlots> hosts;
  if (!cluster_flags.hostfile.empty()) {
    const int needed_slots = one_partition ? cluster_flags.num_ranks() : 1;
    ASSIGN_OR_RETURN(hosts, read_hostfile(cluster_flags.hostfile, needed_slots));
  }
  std::vector<GroupPlan> plans;
  if (one_partition) {
    ASSIGN_OR_RETURN(GroupPlan plan, plan_group(source.config, request));
    plans.push_back(std::move(plan));
  } else {
    plans = rank_partitions(source.config, request, devices > 0 ? devices : 8);
  }
  // Of PATH; another machine's may differ.
  const MpirunVersion mpirun = find_mpirun().value_or(MpirunVersion());
  if (json) {
    for (const GroupPlan& plan : plans) {
      terminal.answer_line(json_text(to_json(plan, mpirun_line(plan, hosts, mpirun))));
    }
    return ok_status();
  }
  const GroupPlan& best = plans.front();
  if (!one_partition) {
    print_partitions(terminal, plans);
    terminal.answer_line("");
    terminal.answer_line(
        terminal.paint_out(Style::kBold, format_text("best: -tp {} -pp {}", best.tp, best.pp)));
  }
  const std::string line = mpirun_line(best, hosts, mpirun);
  print_plan(terminal, best, device_memory_bytes, cluster_flags.model, line);
  return ok_status();
}

}  // namespace

int verb_plan(Terminal& terminal, const Arguments& arguments) {
  PlanVerb verb;
  FlagSet flags(
      "trireme plan",
      "shows what each rank of a partition will hold, and what fits, before anything loads");
  flags.add("devices", &verb.devices, "maximum number of ranks (8)", "Plan");
  flags.add_size(
      "device-memory", &verb.device_memory_bytes, "memory of one rank, e.g. 24GiB", "Plan");
  flags.add("json", &verb.json, "JSON, one line per partition", "Plan");
  add_cluster_flags(flags, verb.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  const bool one_partition = flags.origin("tensor-parallel-size") != FlagOrigin::kDefault ||
                             flags.origin("pipeline-parallel-size") != FlagOrigin::kDefault;
  const Status status = verb.run(terminal, one_partition);
  return status.ok() ? kDone : terminal.fail(status);
}

}  // namespace trireme

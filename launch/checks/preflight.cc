#include "launch/checks/preflight.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/clock.h"
#include "base/host_info.h"
#include "base/output_file.h"
#include "base/text.h"
#include "launch/checks/machine_check.h"
#include "launch/process/process.h"
#include "model/checkpoint/tensor_check.h"

namespace trireme {

namespace {

constexpr int kMaxSuggestedRanks = 64;  // largest group that is tried for a suggestion
constexpr int kHostAnswerMs = 8'000;

std::string show_bytes(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

// --kv-memory has to hold one sequence of --max-model-len, or one page if that is not given.
Status check_kv_memory(const ClusterFlags& flags, const GroupPlan& plan) {
  if (flags.kv_memory_bytes == 0) return ok_status();
  const int64_t tokens = flags.max_model_len > 0 ? flags.max_model_len : plan.page_tokens;
  int64_t needed = 0;
  for (const RankPlan& rank : plan.ranks) {
    needed = std::max(needed, (tokens + plan.page_tokens - 1) / plan.page_tokens * rank.page_bytes);
  }
  if (needed <= flags.kv_memory_bytes) return ok_status();
  return invalid("TRI-UP-005",
                 "--kv-memory is {} a rank, one sequence of {} tokens needs {}; raise it, lower "
                 "--max-model-len, or leave it out",
                 show_bytes(flags.kv_memory_bytes),
                 tokens,
                 show_bytes(needed));
}

// The ranks on this machine share its memory. Ranks on other hosts check theirs at load.
Status check_local_memory(const ClusterFlags& flags, const Preflight& found) {
  const int64_t available = usable_memory_bytes();
  if (available < 0 || !found.hosts.empty()) return ok_status();
  const int64_t least_tokens =
      flags.max_model_len > 0 ? flags.max_model_len : found.plan.page_tokens;
  int64_t needed = 0;
  for (const RankPlan& rank : found.plan.ranks) {
    const int64_t pages = (least_tokens + found.plan.page_tokens - 1) / found.plan.page_tokens;
    needed += rank.fixed_bytes() + std::max(flags.kv_memory_bytes, pages * rank.page_bytes);
  }
  needed *= flags.groups;
  if (needed <= available) return ok_status();
  const int64_t weights = found.plan.weight_bytes();
  PlanRequest a_host = plan_request(flags, "cpu", available);
  const std::vector<GroupPlan> cuts =
      rank_partitions(found.source.config, a_host, kMaxSuggestedRanks);
  const auto fits = std::ranges::find_if(cuts, [](const GroupPlan& cut) { return cut.fits; });
  const std::string advice =
      fits == cuts.end()
          ? format_text("; no -tp and -pp over up to {} such hosts fit: use larger hosts",
                        kMaxSuggestedRanks)
          : format_text(
                "; one rank on each of {} hosts like this one fits: -tp {} -pp {} with a "
                "--hostfile",
                fits->ranks.size(),
                fits->tp,
                fits->pp);
  return invalid("TRI-UP-006",
                 "the cluster needs at least {} on this machine ({} of weights a group, {} ranks, "
                 "KV for {} tokens), {} are available{}",
                 show_bytes(needed),
                 show_bytes(weights),
                 flags.groups * flags.num_ranks(),
                 least_tokens,
                 show_bytes(available),
                 advice);
}

Status take_hosts(const ClusterFlags& flags, Preflight& found) {
  ASSIGN_OR_RETURN(found.hosts, read_hostfile(flags.hostfile, flags.num_ranks() * flags.groups));
  if (flags.worker_host != "127.0.0.1") return ok_status();
  return invalid("TRI-UP-009",
                 "with --hostfile the ranks need --worker-host: this host's address, as the other "
                 "hosts see it");
}

Status load_tokenizer(Preflight& found) {
  const ModelSource& source = found.source;
  if (!source.tokenizer_files.has_json) {
    if (source.tokenizer_files.has_others) {
      found.warnings.push_back(
          format_text("{} takes token ids only: {}", source.name, source.tokenizer_files.missing));
    }
    return ok_status();
  }
  ASSIGN_OR_RETURN(found.tokenizer, Tokenizer::load_folder(source.dir));
  if (const std::string& note = found.tokenizer->note(); !note.empty()) {
    found.warnings.push_back(note);
  }
  return ok_status();
}

// A template that does not compile refuses chats only. A file that was named and is not there is a
// mistake.
Status load_chat(const ClusterFlags& flags, Preflight& found) {
  if (!flags.chat_template.empty() && !std::ifstream(flags.chat_template)) {
    return invalid("TRI-UP-019",
                   "--chat-template {} cannot be read; name a file of Jinja",
                   flags.chat_template);
  }
  if (!found.tokenizer) {
    found.no_chat =
        invalid("TRI-CHAT-001", "{} takes no chats: it has no tokenizer.json", found.source.name);
    return ok_status();
  }
  auto chat = ChatFormat::load(found.source.dir, flags.chat_template, *found.tokenizer);
  if (chat.ok()) {
    found.chat = std::move(*chat);
  } else {
    found.no_chat = chat.status();
  }
  return ok_status();
}

// Ranks are spread evenly over the GPUs of this machine. Ranks on other hosts check at load.
Status check_gpu_memory(const ClusterFlags& flags, const Preflight& found) {
  const BackendChoice& gpus = found.backend;
  if (gpus.num_gpus == 0 || !found.hosts.empty()) return ok_status();
  const int64_t ranks_per_gpu = gpus.ranks_per_gpu(flags.groups * flags.num_ranks());
  const RankPlan& rank = found.plan.ranks.front();
  const int64_t once = rank.module_bytes + rank.reserve_bytes;  // per GPU, not per rank
  const int64_t available = (gpus.gpu_memory_bytes - once) / ranks_per_gpu + once;
  const int64_t least_tokens =
      flags.max_model_len > 0 ? flags.max_model_len : found.plan.page_tokens;
  const int64_t needed = std::max(found.plan.needed_bytes(least_tokens),
                                  found.plan.max_fixed_bytes() + flags.kv_memory_bytes);
  if (needed <= available) return ok_status();
  const std::vector<GroupPlan> cuts = rank_partitions(
      found.source.config, plan_request(flags, "cuda", gpus.gpu_memory_bytes), kMaxSuggestedRanks);
  const auto fits = std::ranges::find_if(cuts, [](const GroupPlan& cut) { return cut.fits; });
  return invalid(
      "TRI-UP-006",
      "a rank needs at least {} of GPU memory (KV for {} tokens), {} are available to it{}{}",
      show_bytes(needed),
      least_tokens,
      show_bytes(available),
      ranks_per_gpu > 1 ? format_text(" ({} ranks share a GPU)", ranks_per_gpu) : "",
      fits == cuts.end()
          ? format_text("; no -tp and -pp over up to {} such GPUs fit", kMaxSuggestedRanks)
          : format_text("; it fits on {}{}: -tp {} -pp {}",
                        fits->ranks.size(),
                        fits->ranks.size() == 1 ? " such GPU" : " such GPUs",
                        fits->tp,
                        fits->pp));
}

}  // namespace

PlanRequest plan_request(const ClusterFlags& flags,
                         const std::string& backend,
                         int64_t memory_bytes) {
  PlanRequest request;
  request.tp = flags.tp;
  request.pp = flags.pp;
  request.backend = backend;
  request.dtype = flags.compute_dtype();
  request.invariant = flags.invariant;
  request.max_model_len = flags.max_model_len;
  request.max_slots = flags.max_slots;
  request.max_batched_tokens =
      flags.max_batched_tokens > 0 ? flags.max_batched_tokens : default_max_batched_tokens(backend);
  request.kv_memory_bytes = flags.kv_memory_bytes;
  request.rank_memory_bytes = memory_bytes;
  return request;
}

WorkerLaunch Preflight::launch_of(const ClusterFlags& flags, int group) const {
  WorkerLaunch launch;
  launch.group = group;
  launch.backend = backend.backend;
  launch.local_ranks = backend.local_ranks;
  launch.mpirun = mpirun;
  launch.hosts = slots_of_group(hosts, group, flags.num_ranks());
  if (backend.backend == "cuda") {
    launch.first_gpu = slots_before_group(hosts, group, flags.num_ranks());
  }
  return launch;
}

StatusOr<Preflight> check_before_launch(const ClusterFlags& flags) {
  RETURN_IF_ERROR(check_cluster_flags(flags));
  if (!flags.trace.empty()) {
    RETURN_IF_ERROR(check_writable(flags.trace, "TRI-RUN-090", "the trace"));
    // Its parts are written beside it.
    RETURN_IF_ERROR(check_writable(
        coordinator_trace(flags), "TRI-RUN-090", "the coordinator's part of the trace"));
  }
  RETURN_IF_ERROR(check_machine(flags));
  Preflight found;
  ASSIGN_OR_RETURN(found.source, open_model(flags.model, flags.weights_seed));
  ASSIGN_OR_RETURN(const auto unused,
                   check_tensors(TensorTable(found.source.config), *found.source.checkpoint));
  found.warnings = found.source.notes;
  if (!unused.empty()) found.warnings.push_back(unused_warning(unused));
  ASSIGN_OR_RETURN(found.backend, choose_backend(flags));
  // check_machine() counted the threads of an open choice without those of CPU kernels.
  if (found.backend.backend != flags.backend) {
    RETURN_IF_ERROR(check_threads(flags, found.backend.backend));
  }
  const PlanRequest request = plan_request(flags, found.backend.backend, 0);
  ASSIGN_OR_RETURN(found.plan, plan_group(found.source.config, request));
  RETURN_IF_ERROR(load_tokenizer(found));
  RETURN_IF_ERROR(load_chat(flags, found));
  if (flags.max_model_len > found.source.config.max_positions) {
    return invalid(
        "TRI-UP-007",
        "--max-model-len is {}, the model has positions for {}; lower it or leave it out",
        flags.max_model_len,
        found.source.config.max_positions);
  }
  if (!flags.hostfile.empty()) RETURN_IF_ERROR(take_hosts(flags, found));
  RETURN_IF_ERROR(check_kv_memory(flags, found.plan));
  RETURN_IF_ERROR(found.backend.backend == "cuda" ? check_gpu_memory(flags, found)
                                                  : check_local_memory(flags, found));
  if (!is_one_process(flags, found.launch_of(flags, 0))) {
    ASSIGN_OR_RETURN(found.mpirun, find_mpirun());
  }
  return found;
}

Status check_hosts_answer(const ClusterFlags& flags, const std::vector<HostSlots>& hosts) {
  std::vector<std::pair<std::string, Process>> questions;
  for (const HostSlots& host : hosts) {
    ProcessOptions options;
    options.arguments = agent_command(flags.launch_agent, host.host);
    options.arguments.emplace_back("true");
    ASSIGN_OR_RETURN(Process question, Process::start(options));
    questions.emplace_back(host.host, std::move(question));
  }
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + kHostAnswerMs * TimeUs{1000};
  for (auto& [host, question] : questions) {
    const int left_ms = static_cast<int>(std::max<TimeUs>(0, deadline_us - clock.now_us()) / 1000);
    const auto status = question.wait_exit(left_ms);
    if (status == 0) continue;
    std::vector<std::string> out;
    std::vector<std::string> err;
    question.read_lines(out, err);
    return unavailable("TRI-UP-008",
                       "host {} does not answer `{} {} true`: {}; check the name, the network and "
                       "the keys (`trireme doctor --hostfile`)",
                       host,
                       flags.launch_agent,
                       host,
                       !status       ? format_text("no answer within {} s", kHostAnswerMs / 1000)
                       : err.empty() ? format_text("exit status {}", *status)
                                     : err.back());
  }
  return ok_status();
}

}  // namespace trireme

#include "worker/rank.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/environment.h"
#include "base/log.h"
#include "base/output_file.h"
#include "model/checkpoint/tensor_check.h"
#include "model/planner.h"
#include "worker/control/plan_file.h"
#include "worker/load_report.h"
#include "worker/step/step_loop.h"
#include "worker/step_bench.h"

namespace trireme {
namespace {

// Headers of shards on a slow disk; with a head beside a tied embedding also the values of both.
constexpr TimeUs kOpenUs = 180'000'000;

}  // namespace

Status Rank::run() {
  std::fprintf(stderr, "%s\n", place_.description.c_str());
  log_start();
  Status status = load_and_run();
  const auto level = status.ok() || refused_ ? LogLevel::kInfo : LogLevel::kError;
  const std::string cause = refused_       ? "refused before loading"  // stderr has the reason
                            : !status.ok() ? message_of(status)
                            : link_        ? "drained"
                                           : "all plans ran";
  log_event(level,
            "end",
            {{"group", flags_.group},
             {"rank", place_.rank},
             {"step", progress_.step.load()},
             {"cause", cause}});
  return status;
}

void Rank::log_start() const {
  log_event(LogLevel::kInfo,
            "start",
            {{"group", flags_.group},
             {"rank", place_.rank},
             {"tp", flags_.worker.tp},
             {"pp", flags_.worker.pp},
             {"host", place_.host},
             {"pid", getpid()},
             {"backend", flags_.worker.backend},
             {"device", flags_.worker.backend == "cuda" ? place_.device : -1},
             {"model", flags_.model}});
}

// The configuration as resolved, once it is final.
void Rank::log_configuration() const {
  const RankHello hello = worker_->hello();
  log_event(LogLevel::kInfo,
            "configured",
            {{"group", flags_.group},
             {"rank", place_.rank},
             {"backend", hello.backend},
             {"isa", hello.isa},
             {"device", worker_->backend_info().device},
             {"dtype", hello.dtype},
             {"invariant", hello.invariant},
             {"threads", worker_->num_threads()},
             {"max_slots", hello.max_slots},
             {"max_batched_tokens", hello.max_batched_tokens},
             {"max_model_len", hello.max_model_len},
             {"page_tokens", hello.kv_layout.page_tokens},
             {"pages", hello.pages}});
}

Status Rank::load_and_run() {
  if (!flags_.coordinator.empty()) RETURN_IF_ERROR(open_link());
  Status status = load();
  if (status.ok() && link_) status = serve();
  if (status.ok() && !flags_.plans.empty()) status = run_file();
  if (status.ok() && !flags_.bench_step.empty()) {
    const auto spec = parse_step_bench(flags_.bench_step);
    status = spec.ok() ? run_step_bench(*spec, *worker_, *comms_) : spec.status();
  }
  const Status traced = write_trace();
  if (!status.ok() && link_) link_->send_goodbye(status);
  return status.ok() ? traced : status;
}

Status Rank::open_link() {
  LinkOptions options;
  options.endpoint = flags_.coordinator;
  options.group = flags_.group;
  options.host = place_.host;
  options.rank = place_.rank;
  options.tp = flags_.worker.tp;
  options.pp = flags_.worker.pp;
  options.host = place_.host;
  if (const auto key = environment("TRIREME_WORKER_KEY")) {
    ASSIGN_OR_RETURN(options.key, parse_worker_key(*key));
  }
  ASSIGN_OR_RETURN(link_, CoordinatorLink::open(options, progress_));
  return ok_status();
}

// Reads the checkpoint's headers and checks what they decide, and that the trace can be written.
Status Rank::open_source() {
  if (!flags_.trace.empty()) {
    RETURN_IF_ERROR(check_writable(trace_path(), "TRI-RUN-090", "the trace"));
  }
  ASSIGN_OR_RETURN(ModelSource source,
                   open_model(flags_.model, flags_.weights_seed, [this] { progress_.bump(); }));
  source_ = std::make_unique<ModelSource>(std::move(source));
  RETURN_IF_ERROR(check_tensors(TensorTable(source_->config), *source_->checkpoint).status());
  return Worker::check(flags_.worker, *source_);
}

// Collective: if any rank has failed, all fail, and the first of them reports its cause.
Status Rank::first_failure(const Status& own) {
  const std::byte failed{!own.ok()};
  std::vector<std::byte> all(comms_->group->size());
  Queue queue;
  comms_->group->set_deadline(SteadyClock().now_us() + kOpenUs);
  comms_->group->all_gather(queue, std::span(&failed, 1), all);
  RETURN_IF_ERROR(comms_->group->status());
  const auto first = std::ranges::find(all, std::byte{1}) - all.begin();
  if (first == static_cast<int64_t>(all.size())) return ok_status();
  refused_ = true;
  return first == comms_->rank ? own : absl::CancelledError("another rank reports the cause");
}

Status Rank::load() {
  progress_.enter(Phase::kLoading);
  comms_ = place_.make_group();
  RETURN_IF_ERROR(first_failure(open_source()));
  WorkerOptions options = flags_.worker;
  options.group = flags_.group;
  options.host = place_.host;
  options.ranks_on_host = place_.ranks_on_host;
  options.device = place_.device;
  if (!flags_.trace.empty()) {
    const int before =
        1 + flags_.group * flags_.worker.tp * flags_.worker.pp;  // row 0 is the coordinator's
    trace_ = std::make_unique<Trace>(
        format_text("group {} rank {} (stage {})", flags_.group, comms_->rank, comms_->stage),
        before + comms_->rank);
    options.trace = trace_.get();
  }
  SteadyClock clock;
  const TimeUs start_us = clock.now_us();
  LoadReport lines(place_.rank);
  const auto on_progress = [&](int64_t done, int64_t total) {
    progress_.load_bytes = done;
    progress_.load_total_bytes = total;
    progress_.bump();
    lines.report(done, total);
  };
  ASSIGN_OR_RETURN(worker_, Worker::make(options, *source_, *comms_, progress_, on_progress));
  lines.finish(
      format_text("{} KV pages of {} tokens, sequences up to {} tokens, {} threads, {} ({})",
                  worker_->num_pages(),
                  worker_->kv_layout().page_tokens,
                  worker_->max_model_len(),
                  worker_->num_threads(),
                  worker_->backend_info().isa,
                  worker_->backend_info().device));
  log_configuration();
  log_event(LogLevel::kInfo,
            "loaded",
            {{"group", flags_.group},
             {"rank", place_.rank},
             {"bytes", progress_.load_bytes.load()},
             {"seconds", static_cast<double>(clock.now_us() - start_us) * 1e-6}});
  print_memory_use();
  print_refused_matmuls();
  return ok_status();
}

// Prints the use of device memory, in order of allocation, beside the figures of `trireme plan`.
void Rank::print_memory_use() const {
  if (worker_->options().backend != "cuda") return;
  std::fprintf(stderr, "rank %d: %s\n", place_.rank, worker_->start_times().line().c_str());
  PlanRequest request;
  request.tp = flags_.worker.tp;
  request.pp = flags_.worker.pp;
  request.backend = "cuda";
  request.dtype = flags_.worker.dtype;
  request.invariant = flags_.worker.invariant;
  request.max_model_len = flags_.worker.max_model_len;
  request.max_slots = flags_.worker.max_slots;
  request.max_batched_tokens = flags_.worker.max_batched_tokens;
  request.kv_memory_bytes = flags_.worker.kv_memory_bytes;
  request.rank_memory_bytes =
      worker_->backend().device_memory().total / worker_->memory_use().sharers;
  const auto plan = plan_group(source_->config, request);
  if (!plan.ok()) return;
  const RankPlan& planned = plan->ranks[comms_->rank];
  const MemoryUse& found = worker_->memory_use();
  const struct {
    const char* what;
    int64_t found;
    int64_t planned;
  } lines[] = {
      {"weights", found.weights, planned.weight_bytes},
      {"communicators", found.communicators, planned.communicator_bytes},
      {"a step's buffers", found.step, planned.activation_bytes + planned.workspace_bytes},
      {"context, modules and graphs", found.modules, planned.module_bytes},
      {"KV pages", found.pages, plan->pages * planned.page_bytes},
      {"reserve", found.reserve, planned.reserve_bytes},
  };
  const auto bytes = [](int64_t count) { return format_bytes(static_cast<double>(count)); };
  for (const auto& line : lines) {
    std::fprintf(stderr,
                 "rank %d: memory: %s %s (planned %s)\n",
                 place_.rank,
                 line.what,
                 bytes(line.found).c_str(),
                 bytes(line.planned).c_str());
  }
}

// Matmuls of warm-up that could not use the faster library.
void Rank::print_refused_matmuls() const {
  for (const RefusedMatmuls& refused : worker_->backend().refused_matmuls()) {
    std::fprintf(stderr,
                 "rank %d: our own kernels did %lld matmuls of warm-up although cuBLASLt may be "
                 "faster: %s\n",
                 place_.rank,
                 static_cast<long long>(refused.calls),
                 refused.cause.c_str());
  }
}

Status Rank::serve() {
  progress_.enter(Phase::kWaitStart);
  ASSIGN_OR_RETURN(Start start, link_->announce(worker_->hello()));
  while (true) {
    RETURN_IF_ERROR(begin_life(start));
    ASSIGN_OR_RETURN(const StepsEnd end, run_steps(*link_, worker_->executor()));
    if (end == StepsEnd::kDone) return ok_status();
    start = link_->start();
  }
}

Status Rank::begin_life(const Start& start) {
  if (start.pages < 1 || start.pages > worker_->num_pages()) {
    return invalid("TRI-GRP-028",
                   "the coordinator starts this group with {} pages, it has 1 to {}",
                   start.pages,
                   worker_->num_pages());
  }
  progress_.enter(Phase::kWarming);
  RETURN_IF_ERROR(worker_->start(start.pages, *link_));
  link_->send_started(start.epochs);
  log_event(LogLevel::kInfo,
            "ready",
            {{"group", flags_.group},
             {"rank", place_.rank},
             {"epoch", start.epochs.group},
             {"pages", start.pages}});
  progress_.enter(Phase::kIdle);
  return ok_status();
}

// The answering rank writes results and its probes; the first rank of every other stage writes its
// probes to a file of its own.
Status Rank::run_file() {
  ASSIGN_OR_RETURN(const auto plans, PlanFileReader::open(flags_.plans));
  const bool answers = comms_->rank == worker_->partition().answering_rank();
  const std::string name = flags_.results.empty() ? "/dev/null"
                           : answers              ? flags_.results
                                     : format_text("{}.rank{}", flags_.results, comms_->rank);
  const bool writes = answers || (flags_.probes && comms_->tensor_index == 0);
  ASSIGN_OR_RETURN(auto writer, RecordWriter::create(writes ? name : "/dev/null"));
  ResultFile results(std::move(writer), flags_.probes);
  RETURN_IF_ERROR(worker_->start(worker_->num_pages(), results));
  RETURN_IF_ERROR(run_steps(*plans, worker_->executor()).status());
  return results.flush();
}

std::string Rank::trace_path() const {
  return format_text("{}.rank{}", flags_.trace, comms_->rank);
}

Status Rank::write_trace() {
  if (!trace_) return ok_status();
  return trace_->write_lines(trace_path());
}

}  // namespace trireme

#include <poll.h>

#include <csignal>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/bench/bench_parts.h"
#include "clients/cli/bench/saved_results.h"
#include "clients/cli/json_text.h"
#include "launch/checks/preflight.h"
#include "launch/command_lines/command_lines.h"
#include "launch/process/process.h"
#include "launch/supervision/mpirun_output.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kWaitMs = 200;
constexpr int kEndMs = 3'000;
constexpr size_t kTailLines = 200;
constexpr int64_t kMaxSequences = 65536;

struct StepBenchOptions {
  ClusterFlags cluster_flags;
  int64_t prefill = 512;
  int64_t decode = 128;
  int64_t context = 0;
  std::vector<int64_t> batch = {1, 4, 16, 32};
  int repeats = 5;
  std::string save;
  bool json = false;
};

void print_head(Terminal& terminal) {
  terminal.answer_line(terminal.paint_out(Style::kBold,
                                          "kind     batch   tokens   seconds (median)   tokens/s   "
                                          "tokens/s per sequence   host us/step"));
}

// How the matmuls of the largest step were computed by rank 0; a CPU has one algorithm.
void print_matmuls(Terminal& terminal, const Json& result) {
  if (result["backend"] == "cpu") return;
  for (const Json& matmul : result["matmuls"]) {
    terminal.answer_line(format_text("  {:<8} {} x {} x {}: {}",
                                     matmul["name"].get<std::string>(),
                                     matmul["rows"].get<int64_t>(),
                                     matmul["n"].get<int64_t>(),
                                     matmul["k"].get<int64_t>(),
                                     matmul["algorithm"].get<std::string>()));
  }
  for (const Json& refused : result["refused_matmuls"]) {
    terminal.warn(format_text("rank 0 has not used cuBLASLt for {} matmuls so far: {}",
                              refused["calls"].get<int64_t>(),
                              refused["cause"].get<std::string>()));
  }
}

void print_result(Terminal& terminal, const Json& result) {
  char line[128];
  const double rate = result["tokens_per_second"].get<double>();
  const int batch = result["batch"].get<int>();
  std::snprintf(line,
                sizeof line,
                "%-8s %5d   %6lld   %16.4f   %8.1f   %21.1f   %12.0f",
                result["kind"].get<std::string>().c_str(),
                batch,
                static_cast<long long>(result["tokens"].get<int64_t>()),
                result["seconds_median"].get<double>(),
                rate,
                rate / batch,
                result["host_us_median"].get<double>());
  terminal.answer_line(line);
  print_matmuls(terminal, result);
}

// Runs the ranks and reads their output: results (JSON lines), progress, and errors.
class StepBenchRun {
 public:
  StepBenchRun(const StepBenchOptions& options, Terminal& terminal, Interrupts& interrupts)
      : options_(options),
        terminal_(terminal),
        interrupts_(interrupts),
        bar_(terminal, clock_, "measuring", ProgressBar::Unit::kCount) {}

  StatusOr<std::vector<std::string>> run(const ProcessOptions& command);

 private:
  void read(Process& process);
  void take(const std::string& line);
  void show_loading(const std::string& words);

  const StepBenchOptions& options_;
  Terminal& terminal_;
  Interrupts& interrupts_;
  SteadyClock clock_;
  ProgressBar bar_;
  std::vector<std::string> results_;
  std::deque<std::string> tail_;
  bool loaded_ = false;
};

void StepBenchRun::take(const std::string& line) {
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("kind")) {
    if (line.starts_with("rank 0: loading ")) show_loading(line.substr(8));
    loaded_ = loaded_ || line.starts_with("rank 0: loaded ");
    if (options_.cluster_flags.verbose) terminal_.note(line);
    tail_.push_back(line);
    if (tail_.size() > kTailLines) tail_.pop_front();
    return;
  }
  if (options_.json) {
    terminal_.answer_line(json.dump());
  } else {
    if (results_.empty()) print_head(terminal_);
    print_result(terminal_, json);
  }
  results_.push_back(json.dump());
}

void StepBenchRun::show_loading(const std::string& words) {
  if (terminal_.err_is_terminal()) return terminal_.set_bar(words);
  terminal_.note(words);
}

void StepBenchRun::read(Process& process) {
  std::vector<std::string> lines;
  process.read_lines(lines, lines);
  for (const std::string& line : lines) take(line);
}

StatusOr<std::vector<std::string>> StepBenchRun::run(const ProcessOptions& command) {
  ASSIGN_OR_RETURN(Process process, Process::start(command));
  const auto total = static_cast<int64_t>(options_.batch.size() + (options_.prefill > 0 ? 1 : 0));
  while (!process.exit_status()) {
    std::vector<pollfd> waits = {{interrupts_.fd(), POLLIN, 0}};
    for (const int fd : process.descriptors()) waits.push_back({fd, POLLIN, 0});
    ::poll(waits.data(), waits.size(), kWaitMs);
    read(process);
    if (loaded_) bar_.update(static_cast<int64_t>(results_.size()), total);
    const bool interrupted = interrupts_.count() > 0;
    if (!interrupted && !terminal_.output_lost()) continue;
    process.signal_group(SIGTERM);
    (void)process.wait_exit(kEndMs);
    return interrupted ? unavailable("TRI-UP-013", "interrupted") : output_lost_error();
  }
  read(process);
  if (*process.exit_status() == 0) return results_;
  const std::string cause = cause_in_output(tail_);
  if (*process.exit_status() == kBadInput && cause.starts_with("TRI-")) {
    return absl::InvalidArgumentError(cause);
  }
  return unavailable(
      "TRI-BENCH-002",
      "the ranks ended before they had finished: {}",
      describe_output(tail_, format_text("they ended with status {}", *process.exit_status())));
}

// Checks before the launch the lengths that the ranks would reject after theirs.
Status check_lengths(const StepBenchOptions& options, int64_t max_positions) {
  const int64_t longest =
      options.cluster_flags.max_model_len > 0 ? options.cluster_flags.max_model_len : max_positions;
  const struct {
    const char* flag;
    int64_t tokens;
    int64_t more;  // further tokens of the sequence: prompt before them, drawn tokens after
  } lengths[] = {{"prefill", options.prefill, 1},
                 {"decode", options.decode, 2},
                 {"context", options.context, options.decode + 1}};
  for (const auto& length : lengths) {
    if (length.tokens + length.more <= longest) continue;
    return invalid("TRI-BENCH-003",
                   "--{} is {}, allowed are up to {} in sequences of {} tokens",
                   length.flag,
                   length.tokens,
                   longest - length.more,
                   longest);
  }
  return ok_status();
}

StatusOr<int> measure(StepBenchOptions options, Terminal& terminal, Interrupts& interrupts) {
  if (options.batch.empty() || options.repeats < 1) {
    return invalid("TRI-BENCH-003", "--batch needs a value and --repeats at least 1");
  }
  const auto [smallest, largest] = std::ranges::minmax(options.batch);
  if (smallest < 1 || largest > kMaxSequences || options.decode < 0) {
    return invalid("TRI-BENCH-003",
                   "--batch is {}, allowed are sizes from 1 to {}",
                   join(options.batch, ","),
                   kMaxSequences);
  }
  options.cluster_flags.max_slots =
      std::max(options.cluster_flags.max_slots, static_cast<int>(largest));
  ASSIGN_OR_RETURN(const Preflight preflight, check_before_launch(options.cluster_flags));
  for (const std::string& warning : preflight.warnings) terminal.warn(warning);
  if (!preflight.hosts.empty()) {
    RETURN_IF_ERROR(check_hosts_answer(options.cluster_flags, preflight.hosts));
  }
  RETURN_IF_ERROR(check_lengths(options, preflight.source.config.max_positions));
  if (!preflight.backend.note.empty()) terminal.note(preflight.backend.note);
  WorkerLaunch launch = preflight.launch_of(options.cluster_flags, 0);
  launch.bench_step = format_text("prefill={},decode={},context={},batch={},repeats={}",
                                  options.prefill,
                                  options.decode,
                                  options.context,
                                  join(options.batch, ":"),
                                  options.repeats);
  std::optional<ResultsFile> saved;
  if (!options.save.empty()) {
    ASSIGN_OR_RETURN(saved, ResultsFile::create(options.save, "step", options.cluster_flags));
  }
  StepBenchRun run(options, terminal, interrupts);
  ASSIGN_OR_RETURN(const auto results, run.run(ranks_command(options.cluster_flags, launch)));
  if (saved) {
    const std::string about = json_text(describe_run("step", options.cluster_flags));
    RETURN_IF_ERROR(saved->write({about, results}));
  }
  return kDone;
}

}  // namespace

int bench_step(Terminal& terminal, const Arguments& arguments) {
  StepBenchOptions options;
  FlagSet flags("trireme bench step",
                "measures forward speed without a scheduler, as llama-bench does");
  const char* group = "Bench";
  flags.add_length("prefill", &options.prefill, "tokens of one prompt; 0: no prefill", group);
  flags.add_length("decode", &options.decode, "tokens drawn for each sequence", group);
  flags.add_length(
      "context", &options.context, "tokens of each sequence before these, not timed", group);
  flags.add_list("batch", &options.batch, "sequences that decode together: 1,4,16,32", group);
  flags.add("repeats", &options.repeats, "repetitions of each measurement", group);
  flags.add("save", &options.save, "folder for the results, read by bench report", group);
  flags.add("json", &options.json, "one JSON line per measurement", group);
  add_cluster_flags(flags, options.cluster_flags, /*is_private=*/true);
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  return run_interruptible(
      terminal, [&](Interrupts& interrupts) { return measure(options, terminal, interrupts); });
}

}  // namespace trireme

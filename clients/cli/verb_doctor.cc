#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/cpu_tiers.h"
#include "base/flags.h"
#include "base/host_info.h"
#include "base/process_limits.h"
#include "base/text.h"
#include "clients/cli/json_text.h"
#include "clients/cli/verbs.h"
#include "launch/checks/gpu_findings.h"
#include "launch/checks/machine_check.h"
#include "launch/command_lines/command_lines.h"
#include "launch/process/process.h"
#include "launch/process/temporary_folder.h"
#include "launch/supervision/mpirun_output.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;

constexpr int kAnswerMs = 8'000;
constexpr int64_t kFewFiles = 1024;
constexpr int64_t kLeastSharedBytes = 64 << 20;

struct Outcome {
  int status = -1;  // exit status; -1: could not start, or did not end in time
  std::string text;
};

// Runs a program and waits up to kAnswerMs for its end.
Outcome ask(const ProcessOptions& options) {
  auto process = Process::start(options);
  if (!process.ok()) return {};
  Outcome answer;
  answer.status = process->wait_exit(kAnswerMs).value_or(-1);
  std::vector<std::string> lines;
  process->read_lines(lines, lines);
  answer.text = join(lines, "\n");
  return answer;
}

Outcome ask(const std::vector<std::string>& command) {
  ProcessOptions options;
  options.arguments = command;
  return ask(options);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string show_bytes(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

Finding check_processor() {
  const std::string isa = best_cpu_tier();
  const int cores = usable_core_count();
  Finding finding{
      Grade::kGood,
      "processor",
      format_text("{}{} for this process, kernels {}", cores, cores == 1 ? " core" : " cores", isa),
      ""};
  if (isa == kCpuTiers.front()) {
    finding.grade = Grade::kWarning;
    finding.fix = "without AVX2 the CPU backend is slow; use a newer processor";
  }
  return finding;
}

Finding check_memory() {
  const int64_t bytes = usable_memory_bytes();
  if (bytes < 0) return {Grade::kWarning, "memory", "unknown", "mount /proc"};
  return {Grade::kGood, "memory", show_bytes(bytes) + " available", ""};
}

Finding check_space(const std::string& subject, const std::string& path, int64_t least) {
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) != 0 || ::access(path.c_str(), W_OK) != 0) {
    return {Grade::kBad, subject, path + " is not writable", "make it, or set TMPDIR"};
  }
  const int64_t left = static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
  if (left < least) {
    return {Grade::kWarning,
            subject,
            format_text("{} has {} left", path, show_bytes(left)),
            format_text(
                "ranks on one host pass messages through it: at least {} (docker run --shm-size)",
                show_bytes(least))};
  }
  return {Grade::kGood, subject, format_text("{} has {} left", path, show_bytes(left)), ""};
}

Finding check_temporary_files() {
  const std::string path = temporary_folder();
  if (const Status usable = check_temporary_folder(); !usable.ok()) {
    return {Grade::kBad,
            "temporary files",
            message_without_id(usable),
            "`trireme explain TRI-UP-015` has more"};
  }
  if (path.size() > kMaxMpiTemporaryPath) {
    return {
        Grade::kWarning,
        "temporary files",
        path + " is a long path",
        "MPI's local sockets have paths of at most 107 bytes: TMPDIR=/tmp (up sets it by itself)"};
  }
  return check_space("temporary files", path, 0);
}

Finding check_files() {
  const int64_t least = files_of_cluster(/*num_groups=*/1, /*num_ranks=*/1);
  if (const Status enough = require_open_files(least, "a cluster of one rank"); !enough.ok()) {
    return {Grade::kBad,
            "open files",
            message_without_id(enough),
            format_text("ulimit -n {}", kFewFiles)};
  }
  const int64_t files = open_file_limit();
  if (files >= kFewFiles) return {Grade::kGood, "open files", format_text("up to {}", files), ""};
  return {Grade::kWarning,
          "open files",
          format_text("up to {}", files),
          format_text("every client needs one: ulimit -n {} or more", kFewFiles)};
}

// The same check as that of a launch.
Finding check_threads_of_cluster() {
  const int needed = threads_of_cluster(ClusterFlags(), "cpu");
  if (const Status enough = check_threads(ClusterFlags(), "cpu"); !enough.ok()) {
    return {Grade::kBad,
            "threads",
            message_without_id(enough),
            "`trireme explain TRI-UP-042` has more"};
  }
  return {Grade::kGood, "threads", format_text("{} for a cluster of one rank", needed), ""};
}

// Its own words for a limit of the machine would only hide the finding about that.
Finding untried_mpirun() {
  return {Grade::kWarning,
          "mpirun",
          "not tried: it needs more open files or threads than this machine allows",
          "raise these limits first (below)"};
}

// The command line of `up` with a run of the worker that ends at once; `true` where it is missing.
ProcessOptions trial_of_mpirun(const MpirunVersion& version) {
  WorkerLaunch launch;
  launch.mpirun = version;
  ProcessOptions command = mpirun_command(ClusterFlags(), launch);
  const auto program = std::ranges::find_if(
      command.arguments, [](const std::string& word) { return word.ends_with("/trireme-worker"); });
  const std::string worker = *program;
  command.arguments.erase(program, command.arguments.end());
  if (::access(worker.c_str(), X_OK) == 0) {
    command.arguments.push_back(worker);
    command.arguments.emplace_back("--list-devices");
  } else {
    command.arguments.emplace_back("true");
  }
  return command;
}

Finding check_mpirun() {
  const auto version = find_mpirun();
  if (!version.ok()) {
    return {Grade::kBad,
            "mpirun",
            message_without_id(version.status()),
            "`trireme explain TRI-UP-040` has more"};
  }
  const Outcome started = ask(trial_of_mpirun(*version));
  const std::string name = "Open MPI " + version->number;
  if (started.status == 0) return {Grade::kGood, "mpirun", name + ", starts processes", ""};
  const std::vector<std::string> lines = split(started.text, '\n');
  const std::string otherwise = started.status < 0
                                    ? format_text("it does not end within {} s", kAnswerMs / 1000)
                                    : format_text("it ends with status {}", started.status);
  return {Grade::kBad,
          "mpirun",
          format_text("{} cannot start a process: {}",
                      name,
                      describe_output({lines.begin(), lines.end()}, otherwise)),
          "run it by hand: mpirun -np 1 true"};
}

Finding check_program(const char* name) {
  const std::string path = format_text("{}/{}", program_folder(), name);
  if (::access(path.c_str(), X_OK) == 0) return {Grade::kGood, name, path, ""};
  return {Grade::kBad,
          name,
          format_text("not in {}", program_folder()),
          "build it: ./launch/quickstart.sh, or keep the three programs in one folder"};
}

Finding check_port() {
  constexpr int kPort = 8900;
  if (!answers_tcp("127.0.0.1", kPort, 500)) {
    return {Grade::kGood, "client port", format_text("{} is free", kPort), ""};
  }
  return {Grade::kWarning,
          "client port",
          format_text("{} is in use", kPort),
          "see if a cluster is running (trireme status), or use another --port"};
}

std::vector<Finding> check_gpus() {
  return gpu_findings(ask_for_devices({program_folder() + "/trireme-worker"}),
                      fs::exists("/dev/nvidia0"));
}

Finding check_name() {
  const std::string name = host_name();
  if (!resolve(name).empty()) return {Grade::kGood, "host name", name + " resolves", ""};
  return {Grade::kWarning,
          "host name",
          name + " does not resolve",
          "with several hosts MPI needs it: add it to /etc/hosts"};
}

// GPUs of a host that has this build; no findings if the build has no CUDA.
std::vector<Finding> check_gpus_of(const std::string& host, const std::string& agent) {
  std::vector<std::string> worker = agent_command(agent, host);
  worker.push_back(program_folder() + "/trireme-worker");
  const auto report = ask_for_devices(std::move(worker));
  if (report.ok() && !report->builds("cuda")) return {};
  std::vector<Finding> findings = gpu_findings(report, /*has_device_file=*/true);
  for (Finding& finding : findings)
    finding.subject = format_text("host {} {}", host, finding.subject);
  return findings;
}

// Checks that the launch agent reaches a host, and that the host has the same build.
std::vector<Finding> check_host(const std::string& host, const std::string& agent) {
  const std::string subject = "host " + host;
  if (resolve(host).empty()) {
    return {
        {Grade::kBad, subject, "its name does not resolve", "correct it, or add it to /etc/hosts"}};
  }
  std::vector<std::string> command = agent_command(agent, host);
  const std::string worker = program_folder() + "/trireme-worker";
  command.push_back(format_text("date +%s; cksum < {} 2>/dev/null || echo none", worker));
  const Outcome answer = ask(command);
  if (answer.status != 0) {
    return {{Grade::kBad,
             subject,
             format_text("does not answer: {}", first_line(answer.text)),
             format_text(
                 "make `{} {} true` work without questions (keys, not passwords)", agent, host)}};
  }
  std::vector<Finding> findings;
  const std::vector<std::string> lines = split(answer.text, '\n');
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t here = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  const int64_t there = lines.empty() ? 0 : std::atoll(lines.front().c_str());
  const int64_t apart = std::max(here - there, there - here);
  findings.push_back(apart <= 5 ? Finding{Grade::kGood, subject, "answers; its clock agrees", ""}
                                : Finding{Grade::kWarning,
                                          subject,
                                          format_text("answers; its clock is {} s apart", apart),
                                          "times in logs will differ: run NTP"});
  const Outcome own = ask({"sh", "-c", format_text("cksum < {}", worker)});
  const std::string copy = lines.size() > 1 ? lines[1] : "none";
  if (copy == "none") {
    findings.push_back({Grade::kBad,
                        subject,
                        format_text("has no {}", worker),
                        "install the same build at the same path, or use a shared folder"});
  } else if (copy != first_line(own.text)) {
    findings.push_back({Grade::kBad,
                        subject,
                        "has another build of trireme-worker",
                        "copy this host's build to it: all ranks must be of one build"});
  } else {
    findings.push_back({Grade::kGood, subject, "has the same trireme-worker", ""});
    for (const Finding& finding : check_gpus_of(host, agent)) findings.push_back(finding);
  }
  return findings;
}

void print(Terminal& terminal, const Finding& finding, bool json) {
  constexpr const char* kGrades[] = {"ok", "warning", "bad"};
  constexpr Style kStyles[] = {Style::kGood, Style::kWarning, Style::kBad};
  const auto grade = static_cast<size_t>(finding.grade);
  if (json) {
    const nlohmann::ordered_json line = {{"grade", kGrades[grade]},
                                         {"subject", finding.subject},
                                         {"found", finding.found},
                                         {"fix", finding.fix}};
    return terminal.answer_line(json_text(line));
  }
  std::string mark = kGrades[grade];
  mark.resize(8, ' ');
  std::string subject = finding.subject;
  subject.resize(std::max<size_t>(20, subject.size() + 1), ' ');
  terminal.answer_line(terminal.paint_out(kStyles[grade], mark) + subject + finding.found);
  if (!finding.fix.empty()) terminal.answer_line("        " + std::string(20, ' ') + finding.fix);
}

}  // namespace

int verb_doctor(Terminal& terminal, const Arguments& arguments) {
  std::string hostfile;
  std::string agent = "ssh";
  bool json = false;
  FlagSet flags(
      "trireme doctor",
      "checks this machine and the hosts of a hostfile; shows what is missing and the remedy");
  flags.add("hostfile", &hostfile, "check these hosts, too");
  flags.add("launch-agent", &agent, "program that runs commands on other hosts");
  flags.add("json", &json, "one JSON line per finding");
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  std::vector<HostSlots> hosts;
  if (!hostfile.empty()) {
    auto read = read_hostfile(hostfile, 1);
    if (!read.ok()) return terminal.fail(read.status());
    hosts = std::move(*read);
  }
  bool healthy = true;
  const auto say = [&](const Finding& finding) {
    healthy = healthy && finding.grade != Grade::kBad;
    print(terminal, finding, json);
  };
  say(check_processor());
  say(check_memory());
  for (const Finding& finding : check_gpus()) say(finding);
  say(check_program("trireme-coordinator"));
  say(check_program("trireme-worker"));
  const Finding files = check_files();
  const Finding threads = check_threads_of_cluster();
  const bool is_limited = files.grade == Grade::kBad || threads.grade == Grade::kBad;
  say(is_limited ? untried_mpirun() : check_mpirun());
  say(check_space("shared memory", "/dev/shm", kLeastSharedBytes));
  say(check_temporary_files());
  say(files);
  say(threads);
  say(check_name());
  say(check_port());
  for (const HostSlots& host : hosts) {
    for (const Finding& finding : check_host(host.host, agent)) say(finding);
  }
  return healthy ? kDone : kAnswerIsNo;
}

}  // namespace trireme

#include "launch/checks/device_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/host_info.h"
#include "base/text.h"
#include "launch/command_lines/command_lines.h"
#include "launch/process/inherited_environment.h"
#include "launch/process/process.h"

namespace trireme {

namespace {

using Json = nlohmann::json;

constexpr TimeUs kAnswerUs = 10'000'000;      // the first use of a driver takes seconds
constexpr TimeUs kHostsAnswerUs = 6'000'000;  // check_hosts_answer() reports a dead host afterwards

Gpu parse_gpu(const Json& json) {
  Gpu gpu;
  gpu.name = json.at("name").get<std::string>();
  gpu.compute_capability = json.at("compute_capability").get<std::string>();
  gpu.memory_bytes = json.at("memory_bytes").get<int64_t>();
  gpu.peers = json.at("peers").get<std::vector<int>>();
  return gpu;
}

DeviceReport parse(const Json& json) {
  DeviceReport report;
  report.backends = json.at("backends").get<std::vector<std::string>>();
  const Json& nccl = json.at("nccl");
  report.nccl_error = nccl.value("error", "");
  report.nccl_version = nccl.value("version", "");
  report.nccl_path = nccl.value("path", "");
  const Json& cuda = json.at("cuda");
  if (cuda.contains("error")) {
    report.cuda_error = cuda["error"].get<std::string>();
    return report;
  }
  report.driver = cuda.at("driver").get<std::string>();
  report.runtime = cuda.at("runtime").get<std::string>();
  for (const Json& gpu : cuda.at("devices")) report.gpus.push_back(parse_gpu(gpu));
  return report;
}

Status no_dtype(const ClusterFlags& flags, const std::string& backend) {
  return invalid("TRI-UP-001",
                 "--dtype {} is not built on the {} backend; built are: {}",
                 flags.dtype,
                 backend,
                 join(built_dtypes(backend)));
}

// A group with more ranks than GPUs runs as threads of one process, which share GPU memory.
void share_gpus(const ClusterFlags& flags, BackendChoice& choice) {
  const int ranks = flags.num_ranks();
  if (choice.num_gpus >= ranks) return;
  choice.local_ranks = ranks;
  choice.note =
      format_text("backend cuda: {} ranks share {}{}; each group is one process (--local-ranks {})",
                  ranks,
                  choice.num_gpus,
                  choice.num_gpus == 1 ? " GPU" : " GPUs",
                  ranks);
}

// A group takes all free memory of its GPUs for KV, so groups that share GPUs need --kv-memory.
Status check_groups_share(const ClusterFlags& flags, int num_gpus) {
  const int ranks = flags.groups * flags.num_ranks();
  if (flags.groups == 1 || ranks <= num_gpus || flags.kv_memory_bytes > 0) return ok_status();
  return invalid(
      "TRI-UP-018",
      "--groups {} of {} ranks share {}{}, of which the first group would take all memory; "
      "limit the KV memory of a rank with --kv-memory, or start fewer groups",
      flags.groups,
      flags.num_ranks(),
      num_gpus,
      num_gpus == 1 ? " GPU" : " GPUs");
}

// A running `trireme-worker --list-devices`. Several run at once; answer() waits for one.
class Question {
 public:
  explicit Question(std::vector<std::string> worker) {
    worker.emplace_back("--list-devices");
    words_ = join(worker, " ");
    ProcessOptions options;
    options.arguments = std::move(worker);
    options.environment = {{"TRIREME_CONFIG", ""}};
    options.removed = inherited_launch_variables();
    process_ = Process::start(options);
  }

  StatusOr<DeviceReport> answer(TimeUs deadline_us) {
    if (!process_.ok()) return failed(message_of(process_.status()));
    const TimeUs left_us = std::max<TimeUs>(deadline_us - SteadyClock().now_us(), 0);
    const auto status = process_->wait_exit(static_cast<int>(left_us / 1000));
    std::vector<std::string> out;
    std::vector<std::string> err;
    process_->read_lines(out, err);
    if (!status) return failed(format_text("no answer within {} s", kAnswerUs / 1'000'000));
    for (const std::string& line : out) {
      if (const auto report = parse_device_report(line)) return *report;
    }
    return failed(err.empty() ? format_text("exit status {}", *status) : err.back());
  }

 private:
  Status failed(const std::string& why) const {
    return unavailable(
        "TRI-UP-017", "`{}` did not report the GPUs of the machine: {}", words_, why);
  }

  std::string words_;  // the command, for messages
  StatusOr<Process> process_ = Process();
};

// `auto` with a hostfile: cuda if every host has GPUs. All hosts are asked at once; this machine
// needs no GPU.
StatusOr<BackendChoice> choose_for_hosts(const ClusterFlags& flags) {
  ASSIGN_OR_RETURN(const auto hosts,
                   read_hostfile(flags.hostfile, flags.num_ranks() * flags.groups));
  std::vector<Question> questions;
  for (const HostSlots& host : hosts) {
    std::vector<std::string> worker = agent_command(flags.launch_agent, host.host);
    worker.push_back(program_folder() + "/trireme-worker");
    questions.emplace_back(std::move(worker));
  }
  const TimeUs deadline_us = SteadyClock().now_us() + kHostsAnswerUs;
  DeviceReport some;  // of a host with GPUs
  std::vector<std::string> without;
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto report = questions[i].answer(deadline_us);
    if (report.ok() && !report->gpus.empty()) {
      some = *report;
    } else {
      const std::string why = report.ok() ? "" : format_text(" ({})", message_of(report.status()));
      without.push_back(hosts[i].host + why);
    }
  }
  if (without.empty() || some.gpus.empty()) return choose_backend(flags, some);
  ASSIGN_OR_RETURN(BackendChoice choice, choose_backend(flags, DeviceReport()));
  choice.note = format_text("backend cpu: there is no GPU on {}", join(without));
  return choice;
}

}  // namespace

bool DeviceReport::builds(const std::string& backend) const {
  return std::ranges::find(backends, backend) != backends.end();
}

std::optional<DeviceReport> parse_device_report(const std::string& line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  try {
    return parse(json);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

StatusOr<DeviceReport> ask_for_devices(std::vector<std::string> worker) {
  Question question(std::move(worker));
  return question.answer(SteadyClock().now_us() + kAnswerUs);
}

int BackendChoice::ranks_per_gpu(int num_ranks) const {
  return num_gpus == 0 ? num_ranks : (num_ranks + num_gpus - 1) / num_gpus;
}

StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags,
                                       const StatusOr<DeviceReport>& report) {
  BackendChoice choice;
  const bool has_gpus = report.ok() && !report->gpus.empty();
  if (flags.backend == "cuda" && !has_gpus && flags.hostfile.empty()) {
    if (!report.ok()) return report.status();
    return absl::InvalidArgumentError(report->cuda_error.empty()
                                          ? "TRI-CUDA-002: there is no GPU; use --backend cpu"
                                          : report->cuda_error);
  }
  const bool takes_gpus =
      flags.backend == "cuda" || (flags.backend == "auto" && has_gpus && flags.dtype != "float32");
  if (takes_gpus) {
    choice.backend = "cuda";
    choice.note = "backend cuda, one rank per GPU";
  }
  if (takes_gpus && has_gpus) {
    choice.num_gpus = static_cast<int>(report->gpus.size());
    choice.gpu_memory_bytes =
        std::ranges::min_element(report->gpus, {}, &Gpu::memory_bytes)->memory_bytes;
    if (flags.hostfile.empty()) {
      RETURN_IF_ERROR(check_groups_share(flags, choice.num_gpus));
      share_gpus(flags, choice);
    }
  }
  if (!has_dtype(choice.backend, flags.dtype)) return no_dtype(flags, choice.backend);
  return choice;
}

StatusOr<BackendChoice> choose_backend(const ClusterFlags& flags) {
  if (flags.backend == "cpu" || (flags.backend == "auto" && flags.dtype == "float32")) {
    return choose_backend(flags, DeviceReport());
  }
  if (flags.backend == "auto" && !flags.hostfile.empty()) return choose_for_hosts(flags);
  return choose_backend(flags, ask_for_devices({program_folder() + "/trireme-worker"}));
}

}  // namespace trireme

#include "launch/checks/gpu_findings.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace trireme {

namespace {

constexpr double kLeastCapability = 8.0;

Finding no_gpu(const DeviceReport& report, bool has_device_file) {
  if (!report.builds("cuda")) {
    return has_device_file
               ? Finding{Grade::kWarning,
                         "GPU",
                         "there is one, but this build has no CUDA backend and uses CPUs",
                         "build it: cmake -DTRIREME_CUDA=ON (needs the CUDA Toolkit 13)"}
               : Finding{Grade::kGood, "GPU", "none; this build runs on CPUs", ""};
  }
  return {has_device_file ? Grade::kBad : Grade::kWarning,
          "GPU",
          report.cuda_error.empty() ? "none is seen" : report.cuda_error,
          has_device_file ? "nvidia-smi has to work here; look at the driver, CUDA_VISIBLE_DEVICES "
                            "and, in containers, --gpus"
                          : "install a GPU and its driver, or use --backend cpu"};
}

Finding driver_of(const DeviceReport& report) {
  const std::string found =
      format_text("serves CUDA {}, built against {}", report.driver, report.runtime);
  const bool is_old = std::atof(report.driver.c_str()) < std::atof(report.runtime.c_str());
  if (!is_old) return {Grade::kGood, "GPU driver", found, ""};
  const bool same_major = std::atoi(report.driver.c_str()) == std::atoi(report.runtime.c_str());
  return {same_major ? Grade::kWarning : Grade::kBad,
          "GPU driver",
          found,
          format_text("install a driver that serves CUDA {} or later", report.runtime)};
}

Finding describe(const Gpu& gpu, size_t index) {
  Finding finding{Grade::kGood,
                  format_text("GPU {}", index),
                  format_text("{}, {}, compute capability {}",
                              gpu.name,
                              format_bytes(static_cast<double>(gpu.memory_bytes)),
                              gpu.compute_capability),
                  ""};
  if (std::atof(gpu.compute_capability.c_str()) < kLeastCapability) {
    finding.grade = Grade::kBad;
    finding.fix = "8.0 is needed (Ampere, Ada, Hopper or later); hide it with CUDA_VISIBLE_DEVICES";
  }
  return finding;
}

Finding peer_access(const std::vector<Gpu>& gpus) {
  std::vector<std::string> apart;
  for (size_t a = 0; a < gpus.size(); ++a) {
    for (size_t b = a + 1; b < gpus.size(); ++b) {
      const auto found = std::ranges::find(gpus[a].peers, static_cast<int>(b));
      if (found == gpus[a].peers.end()) apart.push_back(format_text("{}-{}", a, b));
    }
  }
  if (apart.empty()) {
    return {Grade::kGood,
            "GPU peer access",
            format_text("all {} have access to each other", gpus.size()),
            ""};
  }
  return {
      Grade::kWarning,
      "GPU peer access",
      format_text("not between {}", join(apart)),
      "ranks on these use NCCL through the host, which is slower; `nvidia-smi topo -p2p r` says "
      "why (PCIe ACS, IOMMU)"};
}

// NCCL has no setting for its ports: the operating system assigns them.
Finding nccl(const DeviceReport& report) {
  if (report.nccl_error.empty()) {
    return {Grade::kGood,
            "NCCL",
            format_text(
                "{}, {}; between hosts it takes the interface of --nccl-interface, and ports of "
                "the kernel's choice (sysctl net.ipv4.ip_local_port_range), which have to be open",
                report.nccl_version,
                report.nccl_path),
            ""};
  }
  return {report.gpus.size() > 1 ? Grade::kWarning : Grade::kGood,
          "NCCL",
          report.nccl_error,
          "needed between hosts and between GPUs without peer access: install libnccl2 (to build: "
          "libnccl-dev)"};
}

}  // namespace

std::vector<Finding> gpu_findings(const StatusOr<DeviceReport>& report, bool has_device_file) {
  if (!report.ok()) {
    return {{Grade::kWarning, "GPU", message_of(report.status()), "run the command by hand"}};
  }
  if (report->gpus.empty()) return {no_gpu(*report, has_device_file)};
  std::vector<Finding> findings = {driver_of(*report)};
  for (size_t i = 0; i < report->gpus.size(); ++i) {
    findings.push_back(describe(report->gpus[i], i));
  }
  if (report->gpus.size() > 1) findings.push_back(peer_access(report->gpus));
  findings.push_back(nccl(*report));
  return findings;
}

}  // namespace trireme

// Findings of `doctor` about the GPUs of a machine, each with a remedy. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "launch/checks/device_report.h"

namespace trireme {

enum class Grade : uint8_t { kGood, kWarning, kBad };

struct Finding {
  Grade grade = Grade::kGood;
  std::string subject;
  std::string found;
  std::string fix;  // remedy; "": none is needed
};

// Returns findings for the driver, each GPU, peer access and NCCL. `report` is the worker's;
// `has_device_file`: the machine has an NVIDIA GPU, even if the programs cannot use it.
std::vector<Finding> gpu_findings(const StatusOr<DeviceReport>& report, bool has_device_file);

}  // namespace trireme

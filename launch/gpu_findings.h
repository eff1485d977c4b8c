// What `doctor` finds out about the GPUs of a machine: what is there, what is missing, the fix.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "launch/device_report.h"

namespace trireme {

enum class Grade : uint8_t { kGood, kWarning, kBad };

struct Finding {
  Grade grade = Grade::kGood;
  std::string subject;
  std::string found;
  std::string fix;  // "": nothing to do
};

// `report`: what the machine's worker says; `has_device_file`: the machine has a GPU, whatever the
// programs can do with it. A line for the driver, each GPU, their peer access and NCCL.
std::vector<Finding> gpu_findings(const StatusOr<DeviceReport>& report, bool has_device_file);

}  // namespace trireme

// Makes the CPU backend: kernels in tiers by instruction set, a thread pool, KV pages of 32 tokens.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "kernels/backend.h"

namespace trireme {

struct CpuBackendOptions {
  int num_threads = 1;
  DType dtype = DType::kBFloat16;  // kFloat32: weights are widened, everything is fp32
  std::string isa = "auto";        // or a tier of base/cpu_tiers.h that the CPU has
};

// TRI-KERN-001: `isa` is unknown or this processor lacks it. TRI-UP-042: its threads
// cannot be started.
StatusOr<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendOptions& options);

}  // namespace trireme

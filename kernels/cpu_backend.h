// The CPU backend: own kernels in tiers by instruction set, a pinned thread pool, pages of 32
// tokens.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "kernels/backend.h"

namespace trireme {

struct CpuBackendOptions {
  int num_threads = 1;
  DType dtype = DType::kBFloat16;  // kFloat32: weights widened, everything in fp32
  std::string isa = "auto";        // or a tier of base/cpu_tiers.h that the CPU has
};

// TRI-KERN-001: an instruction set that is unknown or that this processor lacks.
StatusOr<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendOptions& options);

}  // namespace trireme

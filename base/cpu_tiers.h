// The instruction-set tiers of the CPU kernels. A tier is an arithmetic: equal name, equal bits
// (docs/numerics.md). The names stand here only; kernels, ranks, flags and `doctor` read them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

// From the plainest to the best; a group uses the plainest of its ranks' best tiers.
inline constexpr std::array<std::string_view, 4> kCpuTiers = {
    "portable", "avx2", "avx512", "avx512_bf16"};

// The index in kCpuTiers, or -1.
int64_t cpu_tier_index(std::string_view name);

// Whether this processor and operating system can run the tier.
bool is_cpu_tier_supported(std::string_view name);

// The best tier that this processor and operating system can run.
std::string best_cpu_tier();

// The values of --isa: "auto" and the tiers.
std::vector<std::string> isa_choices();

}  // namespace trireme

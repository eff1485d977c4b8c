// The instruction-set tiers of the CPU kernels. A tier fixes the arithmetic: two machines that run
// the same tier compute the same bits (docs/numerics.md). This is the only list of their names;
// kernels, ranks, flags and `doctor` read it. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

// In ascending order: each tier needs the instructions of those before it. A group runs the lowest
// of the best tiers of its ranks.
inline constexpr std::array<std::string_view, 4> kCpuTiers = {
    "portable", "avx2", "avx512", "avx512_bf16"};

// The index in kCpuTiers, or -1.
int64_t cpu_tier_index(std::string_view name);

// Whether this processor and operating system can run the tier.
bool is_cpu_tier_supported(std::string_view name);

// The highest tier that this processor and operating system can run.
std::string best_cpu_tier();

// The values of --isa: "auto" and the tiers.
std::vector<std::string> isa_choices();

}  // namespace trireme

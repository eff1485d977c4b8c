#include "base/cpu_tiers.h"

#include <algorithm>

namespace trireme {

int64_t cpu_tier_index(std::string_view name) {
  const auto found = std::ranges::find(kCpuTiers, name);
  return found == kCpuTiers.end() ? -1 : found - kCpuTiers.begin();
}

bool is_cpu_tier_supported(std::string_view name) {
  if (name == "portable") return true;
#if defined(__x86_64__)
  __builtin_cpu_init();  // reads CPUID and, for wide registers, XGETBV
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (name == "avx2") return avx2;
  if (name == "avx512") return avx512;
  if (name == "avx512_bf16") return avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  return false;
}

std::string best_cpu_tier() {
  const auto best = std::find_if(kCpuTiers.rbegin(), kCpuTiers.rend(), is_cpu_tier_supported);
  return std::string(*best);
}

std::vector<std::string> isa_choices() {
  std::vector<std::string> choices = {"auto"};
  choices.insert(choices.end(), kCpuTiers.begin(), kCpuTiers.end());
  return choices;
}

}  // namespace trireme

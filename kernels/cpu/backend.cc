#include "kernels/cpu/backend.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/check.h"
#include "base/cpu_tiers.h"
#include "base/text.h"
#include "kernels/cpu/cpu_memory.h"
#include "kernels/cpu/top_k_top_p.h"

namespace trireme {

namespace {

class CpuQueue final : public Queue {};  // ops run in the call

// Kernels of each tier, in the order of kCpuTiers.
constexpr std::array<const TierOps*, kCpuTiers.size()> kTierOps = {
    &kPortableOps, &kAvx2Ops, &kAvx512Ops, &kAvx512Bf16Ops};

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

StatusOr<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendOptions& options) {
  const std::string wanted = options.isa == "auto" ? best_cpu_tier() : options.isa;
  if (is_cpu_tier_supported(wanted)) {
    const TierOps& ops = *kTierOps[static_cast<size_t>(cpu_tier_index(wanted))];
    CHECK(wanted == ops.name);
    auto backend = std::make_unique<CpuBackend>(options, ops);
    RETURN_IF_ERROR(backend->check_pool(options.num_threads));
    return backend;
  }
  std::vector<std::string_view> available;
  std::ranges::copy_if(kCpuTiers, std::back_inserter(available), is_cpu_tier_supported);
  return invalid("TRI-KERN-001",
                 "the instruction set \"{}\" is not available on this processor; available are {}",
                 wanted,
                 join(available));
}

CpuBackend::CpuBackend(const CpuBackendOptions& options, const TierOps& tier)
    : dtype_(options.dtype), tier_(tier), pool_(std::max(1, options.num_threads)) {
  CHECK(dtype_ == DType::kBFloat16 || dtype_ == DType::kFloat32);
}

Status CpuBackend::check_pool(int wanted) const {
  if (pool_.start_error() == 0) return ok_status();
  return invalid(
      "TRI-UP-042",
      "the kernels of a rank need {} threads, {} could be started ({}); lower --threads, "
      "or raise the limit of processes (ulimit -u), of the container (pids) or of "
      "address space (ulimit -v)",
      wanted,
      pool_.size(),
      std::strerror(pool_.start_error()));
}

BackendInfo CpuBackend::info() const { return {"cpu", tier_.name, processor_name(), ""}; }

ActivationTypes CpuBackend::types() const { return {DType::kFloat32, dtype_, DType::kFloat32}; }

KvLayout CpuBackend::kv_layout(int32_t head_dim) const {
  KvLayout layout;
  layout.version = 1;
  layout.dtype = dtype_;
  layout.page_tokens = kPageTokens;
  layout.head_dim = head_dim;
  return layout;
}

StatusOr<Buffer> CpuBackend::allocate(int64_t bytes, const std::string& what) {
  return allocate_memory(bytes, what);
}

// Host memory is shared with all processes, so only what is available is reported.
DeviceMemory CpuBackend::device_memory() const {
  const int64_t free = available_memory();
  return {.total = free, .free = free, .taken = 0};
}

StatusOr<Buffer> CpuBackend::allocate_shared(int64_t bytes, const std::string& what) {
  return allocate_memory(bytes, what);
}

int64_t CpuBackend::cache_bytes() const { return available_memory() / 2; }

// The CPU captures no graphs, so addresses may appear with their memory in fill().
StatusOr<std::unique_ptr<ReservedMemory>> CpuBackend::reserve(int64_t, const std::string& what) {
  return std::make_unique<HostReservedMemory>(what);
}

void CpuBackend::upload(Queue&, std::byte* device, std::span<const std::byte> host) {
  std::copy(host.begin(), host.end(), device);
}

void CpuBackend::upload_shared(Queue& queue, std::byte* device, std::span<const std::byte> shared) {
  upload(queue, device, shared);
}

void CpuBackend::download(Queue&, std::span<std::byte> host, const std::byte* device) {
  std::copy_n(device, host.size(), host.begin());
}

StatusOr<std::unique_ptr<Weight>> CpuBackend::pack(std::span<const Tensor> parts,
                                                   const WeightSpec& spec) {
  CHECK(!parts.empty());
  int64_t n = 0;
  for (const Tensor& part : parts) {
    CHECK(part.columns == parts[0].columns);
    n += part.rows;
  }
  CHECK(spec.layout == WeightLayout::kRows ||
        (parts.size() == 2 && parts[0].rows == parts[1].rows));
  auto weight = std::make_unique<CpuWeight>(n, parts[0].columns, spec, dtype_);
  RETURN_IF_ERROR(weight->fill(parts, pool_));
  return weight;
}

int64_t CpuBackend::packed_bytes(int64_t n, int64_t k, const WeightSpec& spec) const {
  return CpuWeight(n, k, spec, dtype_).bytes();
}

// linear: a padded copy of x and a bias in panel order. Attention: accumulators per pool member.
// Sampling: weights over a vocabulary and a histogram per pool member.
int64_t CpuBackend::workspace_bytes(const OpLimits& limits) const {
  const int64_t linear = align64(limits.rows * (limits.k + 2 * kMaxLeaves) * 4) +
                         align64((limits.n + 2 * kPanelColumns) * 4);
  // head_dim <= n. Two bounds: many narrow heads of one row, or 48 rows of wide heads.
  const int64_t one_row = attention_scratch_floats(limits.n / 8, 8);
  const int64_t many_rows = attention_scratch_floats(64, std::min<int64_t>(limits.n, 512));
  const int64_t attention = pool_.size() * align64(std::max(one_row, many_rows) * 4);
  const int64_t sampling = pool_.size() * filter_scratch_bytes(limits.n);
  return std::max({linear, attention, sampling});
}

std::unique_ptr<Queue> CpuBackend::make_queue() { return std::make_unique<CpuQueue>(); }

// Ops complete inside their calls, so there is nothing to wait for.
Status CpuBackend::wait(Queue&, TimeUs) { return ok_status(); }

Status CpuBackend::status(Queue&) { return ok_status(); }

void CpuBackend::order(Queue&, Queue&) {}

void CpuBackend::run(Queue&, const StepKey&, const std::function<void()>& enqueue) { enqueue(); }

}  // namespace trireme

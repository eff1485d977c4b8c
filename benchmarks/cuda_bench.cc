#include "benchmarks/cuda_bench.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "base/handle.h"
#include "base/text.h"

namespace trireme {

namespace {

constexpr double kMinUs = 300;  // per timed graph: events resolve half a microsecond
constexpr int kMaxTurns = 100;
constexpr TimeUs kWaitUs = 60'000'000;

using Event = Handle<cudaEvent_t, cudaEventDestroy>;

Event make_event() {
  cudaEvent_t event = nullptr;
  cudaEventCreate(&event);
  return Event(event);
}

std::vector<uint16_t> make_noise() {
  constexpr size_t kCount = (1 << 20) + 24;  // not a power of two, so that rows differ
  std::minstd_rand random(1);
  std::vector<uint16_t> noise(kCount);
  for (uint16_t& value : noise) {
    const float x = static_cast<float>(random() % 2048) / 1024 - 1;
    value = std::bit_cast<uint16_t>(float_to_bf16(x));
  }
  return noise;
}

}  // namespace

StatusOr<std::unique_ptr<CudaBench>> CudaBench::make(const CudaBenchOptions& options) {
  std::unique_ptr<CudaBench> bench(new CudaBench(options));
  CudaBackendOptions wanted;
  wanted.device = options.device;
  wanted.max_batched_tokens = options.tiny ? 64 : 8192;
  ASSIGN_OR_RETURN(bench->owned_backend_, make_cuda_backend(wanted));
  ASSIGN_OR_RETURN(bench->owned_tuned_, make_cuda_backend(wanted));
  bench->backend_ = static_cast<cuda::CudaBackend*>(bench->owned_backend_.get());
  bench->tuned_ = static_cast<cuda::CudaBackend*>(bench->owned_tuned_.get());
  bench->owned_queue_ = bench->backend_->make_queue();
  bench->queue_ = &cuda::cuda_queue(*bench->owned_queue_);
  int cache_bytes = 0;
  cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, options.device);
  bench->cache_bytes_ = cache_bytes;
  bench->noise_ = make_noise();
  if (options.list) return bench;
  const OpLimits limits =
      options.tiny ? OpLimits{64, 512, 512, 512} : OpLimits{8192, 14336, 128256, 28672};
  const int64_t scratch = bench->backend_->workspace_bytes(limits);
  bench->workspace_ = {bench->zeros(scratch), scratch};
  bench->built_bytes_ = 0;
  return bench;
}

int CudaBench::sets_past_cache(double bytes, int most) const {
  if (options_.tiny) return 2;
  return std::clamp(1 + static_cast<int>(2 * static_cast<double>(cache_bytes_) / bytes), 1, most);
}

std::byte* CudaBench::zeros(int64_t bytes) {
  built_bytes_ += bytes;
  memory_.push_back(backend_->allocate(bytes, "a benchmark's data").value());
  return memory_.back().data();
}

Tensor CudaBench::random(DType dtype, int64_t rows, int64_t columns, float scale) {
  const Tensor tensor(zeros(rows * columns * size_of(dtype)), dtype, rows, columns);
  std::vector<float> wide;
  std::vector<uint16_t> narrow;
  for (const uint16_t bits : noise_) {
    const float value = scale * bf16_to_float(std::bit_cast<bf16_t>(bits));
    if (dtype == DType::kFloat32) wide.push_back(value);
    if (dtype == DType::kBFloat16) narrow.push_back(std::bit_cast<uint16_t>(float_to_bf16(value)));
  }
  const auto block =
      dtype == DType::kFloat32 ? std::as_bytes(std::span(wide)) : std::as_bytes(std::span(narrow));
  for (int64_t at = 0; at < tensor.bytes(); at += static_cast<int64_t>(block.size())) {
    const auto count = std::min<size_t>(block.size(), tensor.bytes() - at);
    backend_->upload(*queue_, tensor.data + at, block.first(count));
  }
  return tensor;
}

const Weight* CudaBench::random_weight(int64_t n, int64_t k, WeightLayout layout) {
  const int64_t num_parts = layout == WeightLayout::kGateUp ? 2 : 1;
  std::vector<uint16_t> host(n / num_parts * k);
  for (size_t at = 0; at < host.size(); at += noise_.size()) {
    std::copy_n(noise_.begin(), std::min(noise_.size(), host.size() - at), host.begin() + at);
  }
  const Tensor part(host.data(), DType::kBFloat16, n / num_parts, k);
  const std::vector<Tensor> parts(num_parts, part);
  WeightSpec spec;
  spec.layout = layout;
  built_bytes_ += n * k * size_of(DType::kBFloat16);
  weights_.push_back(backend_->pack(parts, spec).value());
  return weights_.back().get();
}

bool CudaBench::wants(const std::string& op, const std::string& shape) const {
  const bool is_named =
      options_.exact ? op == options_.only : op.find(options_.only) != std::string::npos;
  const bool is_wanted = is_named && shape.starts_with(options_.shape);
  if (is_wanted && options_.list) std::printf("%s: %s\n", op.c_str(), shape.c_str());
  return is_wanted && !options_.list;
}

void CudaBench::add(Case bench_case) { cases_.push_back(std::move(bench_case)); }

int CudaBench::turns_of(const Case& bench_case) const {
  if (options_.tiny) return bench_case.num_sets;
  const double floor_us = 2 + 1e6 * std::max(bench_case.bytes / options_.bytes_per_s,
                                             bench_case.flops / options_.flops_per_s);
  const int enough = std::min(kMaxTurns, 1 + static_cast<int>(kMinUs / floor_us));
  return std::max(bench_case.num_sets, enough);
}

// Each case has its own key. It runs once plain and is then captured.
Status CudaBench::record_all() {
  RETURN_IF_ERROR(backend_->wait(*queue_, SteadyClock().now_us() + kWaitUs));
  for (size_t i = 0; i < cases_.size(); ++i) {
    const Case& bench_case = cases_[i];
    const auto enqueue = [&] {
      for (int turn = 0; turn < turns_of(bench_case); ++turn) {
        bench_case.enqueue(turn % bench_case.num_sets);
      }
    };
    enqueue();
    backend_->capture(*queue_, {static_cast<int32_t>(i + 1)}, enqueue);
    RETURN_IF_ERROR(backend_->wait(*queue_, SteadyClock().now_us() + kWaitUs));
  }
  return ok_status();
}

Status CudaBench::time_rounds() {
  std::vector<Event> events;
  for (size_t i = 0; i <= cases_.size(); ++i) events.push_back(make_event());
  times_us_.assign(cases_.size(), {});
  for (int round = 0; round < options_.rounds; ++round) {
    backend_->run(*queue_, {1}, [] {});  // lets the host get ahead of the device
    queue_->check(cudaEventRecord(events[0].get(), queue_->stream()), "an event");
    for (size_t i = 0; i < cases_.size(); ++i) {
      backend_->run(*queue_, {static_cast<int32_t>(i + 1)}, [] {});
      queue_->check(cudaEventRecord(events[i + 1].get(), queue_->stream()), "an event");
    }
    RETURN_IF_ERROR(backend_->wait(*queue_, SteadyClock().now_us() + kWaitUs));
    for (size_t i = 0; i < cases_.size(); ++i) {
      float ms = 0;
      queue_->check(cudaEventElapsedTime(&ms, events[i].get(), events[i + 1].get()), "a time");
      times_us_[i].push_back(1000 * ms / static_cast<float>(turns_of(cases_[i])));
    }
  }
  return queue_->failure();
}

void CudaBench::print(size_t index) const {
  const Case& measured = cases_[index];
  std::vector<float> times = times_us_[index];
  std::ranges::sort(times);
  const double median_us = times[times.size() / 2];
  const double floor_us =
      1e6 * std::max(measured.bytes / options_.bytes_per_s, measured.flops / options_.flops_per_s);
  nlohmann::ordered_json line = {{"op", measured.op},
                                 {"shape", measured.shape},
                                 {"us_median", median_us},
                                 {"us_least", times.front()},
                                 {"bytes", measured.bytes},
                                 {"flops", measured.flops},
                                 {"floor_us", floor_us},
                                 {"share", median_us > 0 ? floor_us / median_us : 0},
                                 {"rounds", options_.rounds},
                                 {"turns", turns_of(measured)},
                                 {"sets", measured.num_sets}};
  if (!measured.algorithm.empty()) line["algorithm"] = measured.algorithm;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

Status CudaBench::run() {
  if (options_.list) return ok_status();
  if (cases_.empty()) {
    return absl::NotFoundError(
        format_text("no case has \"{}\" and \"{}\"", options_.only, options_.shape));
  }
  std::fprintf(stderr,
               "%zu cases, %lld bytes of data\n",
               cases_.size(),
               static_cast<long long>(built_bytes_));
  RETURN_IF_ERROR(record_all());
  RETURN_IF_ERROR(time_rounds());
  for (size_t i = 0; i < cases_.size(); ++i) print(i);
  return ok_status();
}

}  // namespace trireme

#include "kernels/emulation/control.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "base/environment.h"
#include "kernels/emulation/runtime.h"

namespace trireme::emulation {
namespace {

Settings initial_settings() {
  Settings settings;
  if (const auto seed = environment("TRIREME_EMULATION_SEED")) {
    settings.seed = std::strtoull(seed->c_str(), nullptr, 10);
  }
  if (const auto queues = environment("TRIREME_EMULATION_QUEUES")) {
    settings.num_queues = std::atoi(queues->c_str());
    CHECK_THAT(settings.num_queues >= 1 && settings.num_queues <= 32,
               "TRIREME_EMULATION_QUEUES is 1 to 32");
  }
  const std::string order = environment("TRIREME_EMULATION_ORDER").value_or("random");
  CHECK_THAT(order == "forward" || order == "reverse" || order == "random",
             "TRIREME_EMULATION_ORDER is forward, reverse or random");
  if (order == "forward") settings.order = Order::kForward;
  if (order == "reverse") settings.order = Order::kReverse;
  const std::string device = environment("TRIREME_EMULATION_DEVICE").value_or("sm_90");
  CHECK_THAT(device == "sm_86" || device == "sm_90", "TRIREME_EMULATION_DEVICE is sm_86 or sm_90");
  if (device == "sm_86") settings.limits = kLimitsOfSm86;
  if (const auto version = environment("TRIREME_EMULATION_CUBLASLT")) {
    settings.cublaslt.version = std::strtoull(version->c_str(), nullptr, 10);
  }
  const std::string sums = environment("TRIREME_EMULATION_TENSOR_CORES").value_or("round");
  CHECK_THAT(sums == "round" || sums == "truncate",
             "TRIREME_EMULATION_TENSOR_CORES is round or truncate");
  settings.truncates_sums = sums == "truncate";
  return settings;
}

struct Control {
  std::mutex mutex;
  Settings settings = initial_settings();
  uint64_t version = 1;
  bool is_tracing_calls = false;
  std::vector<Call> calls;
  std::string failing_call;
  cudaError_t failing_error = cudaSuccess;
  int failing_skip = 0;
};

Control& control() {
  static Control* const control = new Control;  // outlives the devices' threads
  return *control;
}

template <size_t n>
bool is_one_of(const std::string& name, const std::array<std::string_view, n>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Settings settings() {
  const std::lock_guard lock(control().mutex);
  return control().settings;
}

void set_settings(const Settings& settings) {
  const std::lock_guard lock(control().mutex);
  control().settings = settings;
  ++control().version;
}

uint64_t settings_version() {
  const std::lock_guard lock(control().mutex);
  return control().version;
}

void start_call_trace() {
  const std::lock_guard lock(control().mutex);
  control().is_tracing_calls = true;
  control().calls.clear();
}

std::vector<Call> stop_call_trace() {
  const std::lock_guard lock(control().mutex);
  control().is_tracing_calls = false;
  return std::move(control().calls);
}

bool allocates(const Call& call) {
  constexpr std::array<std::string_view, 19> kNames = {
      "cudaMalloc",
      "cudaFree",
      "cudaHostAlloc",
      "cudaFreeHost",
      "cudaHostRegister",
      "cudaHostUnregister",
      "cudaStreamCreateWithPriority",
      "cudaStreamDestroy",
      "cudaEventCreateWithFlags",
      "cudaEventDestroy",
      "cudaGraphInstantiate",
      "cudaGraphDestroy",
      "cudaGraphExecDestroy",
      "cudaIpcGetMemHandle",
      "cudaIpcOpenMemHandle",
      "cudaIpcCloseMemHandle",
      "cudaFuncSetAttribute",
      "cuMemCreate",
      "cuMemUnmap",
  };
  return is_one_of(call.name, kNames);
}

bool synchronizes(const Call& call) {
  constexpr std::array<std::string_view, 8> kNames = {
      "cudaDeviceSynchronize",
      "cudaStreamSynchronize",
      "cudaEventSynchronize",
      "cudaMemcpy",
      "cudaMemset",
      "cudaFree",
      "cudaFreeHost",
      "cudaMalloc",
  };
  return is_one_of(call.name, kNames);
}

void fail_call(const std::string& name, cudaError_t error, int skip) {
  const std::lock_guard lock(control().mutex);
  control().failing_call = name;
  control().failing_error = error;
  control().failing_skip = skip;
}

cudaError_t enter(const char* name, cudaStream_t stream, int64_t bytes, const std::string& detail) {
  Call call{name, detail, stream, bytes, false};
  if (call.stream != nullptr) {
    const std::lock_guard lock(Runtime::instance().mutex);
    call.is_captured = call.stream->capture != nullptr;
  }
  Control& state = control();
  const std::lock_guard lock(state.mutex);
  cudaError_t error = cudaSuccess;
  if (state.failing_call == call.name && --state.failing_skip < 0) {
    error = state.failing_error;
    state.failing_call.clear();
  }
  if (state.is_tracing_calls) state.calls.push_back(std::move(call));
  return result(error);
}

bool is_tracing_calls() {
  const std::lock_guard lock(control().mutex);
  return control().is_tracing_calls;
}

int64_t allocated_bytes(int device) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  return runtime.allocated[static_cast<size_t>(device)];
}

}  // namespace trireme::emulation

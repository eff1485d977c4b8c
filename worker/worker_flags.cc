#include "worker/worker_flags.h"

#include <algorithm>
#include <cstdlib>

#include "base/cpu_tiers.h"
#include "base/environment.h"
#include "base/flags.h"
#include "base/text.h"
#include "model/planner.h"

namespace trireme {
namespace {

Status not_built(const std::string& flag, const std::string& value, const std::string& built) {
  return invalid("TRI-GRP-024", "--{} {} is not built; built are: {}", flag, value, built);
}

StatusOr<DType> dtype_of(const std::string& name) {
  if (name == "auto" || name == "bfloat16") return DType::kBFloat16;
  if (name == "float16") return DType::kFloat16;
  if (name == "float32") return DType::kFloat32;
  return not_built("dtype", name, "bfloat16, float16, float32");
}

Status check_built(const WorkerFlags& flags,
                   const std::string& quantization,
                   const std::string& kv_dtype) {
  const std::string& backend = flags.worker.backend;
  if (backend != "cpu" && backend != "cuda" && backend != "auto") {
    return not_built("backend", backend, "auto, cpu, cuda");
  }
  if (quantization != "none") return not_built("quantization", quantization, "none");
  if (kv_dtype != "auto") return not_built("kv-cache-dtype", kv_dtype, "auto");
  const int sources = !flags.coordinator.empty() + !flags.plans.empty() + !flags.bench_step.empty();
  if (sources != 1) {
    return invalid(
        "TRI-GRP-023",
        "this worker has {} sources of plans; give exactly one of --coordinator ENDPOINT, --plans "
        "FILE and --bench-step SPEC (people start a cluster with: trireme up)",
        sources);
  }
  if (flags.model.empty()) {
    return invalid("TRI-GRP-025", "--model is missing; name a folder, or dummy:SHAPE");
  }
  const WorkerOptions& worker = flags.worker;
  if (worker.tp < 1 || worker.pp < 1 || worker.max_slots < 1 || worker.max_batched_tokens < 0 ||
      worker.max_model_len < 0 || worker.kv_memory_bytes < 0 || worker.threads < 0 ||
      flags.local_ranks < 0 || flags.device < -1 || flags.first_device < 0) {
    return invalid("TRI-GRP-026",
                   "-tp, -pp and --max-num-seqs are at least 1; --local-ranks, "
                   "--max-num-batched-tokens, --max-model-len, --kv-memory and --threads at least "
                   "0 (0: chosen); --device at least -1 and --first-device at least 0");
  }
  return ok_status();
}

void add_device_flags(FlagSet& set, WorkerFlags& flags) {
  const std::string devices = "Devices";
  set.add("device",
          &flags.device,
          "GPU of this rank; -1: by its number on its host, modulo the GPUs",
          devices);
  set.add("first-device",
          &flags.first_device,
          "first GPU of this group on the host of rank 0",
          devices);
  set.add("local-ranks",
          &flags.local_ranks,
          "ranks that are threads of this process; 0: it is one rank of an mpirun",
          devices);
  set.add("nccl-interface", &flags.nccl.interface, "network of NCCL between hosts: eth0", devices);
  set.add("nccl-adapters", &flags.nccl.adapters, "InfiniBand adapters of NCCL: mlx5_0", devices);
  set.add("nccl-infiniband", &flags.nccl.infiniband, "let NCCL use InfiniBand", devices);
  set.add(
      "list-devices", &flags.list_devices, "print the devices of this build and machine (JSON)");
}

// The user's cache folder; "none" without a home folder. An empty variable counts as unset.
std::string default_cache_folder() {
  const std::string caches = environment("XDG_CACHE_HOME").value_or("");
  if (!caches.empty()) return caches + "/trireme";
  const std::string home = environment("HOME").value_or("");
  return home.empty() ? "none" : home + "/.cache/trireme";
}

}  // namespace

StatusOr<WorkerFlags> parse_worker_flags(const std::vector<std::string>& arguments) {
  WorkerFlags flags;
  WorkerOptions& worker = flags.worker;
  int64_t max_batched_tokens = 0;
  int step_timeout_s = static_cast<int>(worker.step_timeout_us / 1'000'000);
  std::string dtype = "bfloat16";
  std::string quantization = "none";
  std::string kv_dtype = "auto";

  worker.backend = "auto";
  flags.cache_dir = default_cache_folder();
  FlagSet set("trireme-worker", "one rank of a group; started by mpirun");
  const std::string model = "Model";
  set.add("model", &flags.model, "folder of the checkpoint, or dummy:SHAPE", model);
  set.add("dtype", &dtype, "bfloat16, float16 (cuda) or float32 (cpu)", model);
  set.add("quantization", &quantization, "none", model);
  set.add("kv-cache-dtype", &kv_dtype, "auto: the dtype", model);
  set.add("weights-seed", &flags.weights_seed, "of dummy: models", model);
  const std::string shape = "Shape";
  set.add("tensor-parallel-size", &worker.tp, "ranks of a stage", shape);
  set.alias("-tp", "tensor-parallel-size");
  set.add("pipeline-parallel-size", &worker.pp, "stages", shape);
  set.alias("-pp", "pipeline-parallel-size");
  set.add("backend", &worker.backend, "auto, cpu or cuda", shape);
  set.add("invariant",
          &worker.invariant,
          "cuda: batch-invariant, the same bits whatever shares the batch (cpu: always)",
          shape);
  set.add("threads", &worker.threads, "kernel threads; 0: the cores / ranks of the host", shape);
  set.add("isa", &worker.isa, join_choices(isa_choices()), shape);
  add_device_flags(set, flags);
  const std::string limits = "Limits";
  set.add("max-num-seqs", &worker.max_slots, "sequences at once", limits);
  set.add_length("max-num-batched-tokens",
                 &max_batched_tokens,
                 format_text("tokens of a step; 0: {} on the CPU, {} on CUDA",
                             default_max_batched_tokens("cpu"),
                             default_max_batched_tokens("cuda")),
                 limits);
  set.add_length("max-model-len", &worker.max_model_len, "0: the model's, or what fits", limits);
  set.add_size("kv-memory", &worker.kv_memory_bytes, "of KV pages; 0: chosen", limits);
  set.add_length("vocabulary-limit",
                 &worker.vocabulary_limit,
                 "ids from here on are never drawn (the tokenizer's size); 0: none",
                 limits);
  set.add("cache-dir",
          &flags.cache_dir,
          "of matmul tuning results per device; none: none are kept",
          limits);
  set.add("step-timeout", &step_timeout_s, "seconds that a step may take", limits);
  add_log_flags(set, flags.log, "Debugging");
  const std::string plans = "Plans";
  set.add("coordinator", &flags.coordinator, "tcp://HOST:PORT of its worker door", plans);
  set.add("group", &flags.group, "number of this group", plans);
  set.add("plans", &flags.plans, "file of step plans to run", plans);
  set.add("results", &flags.results, "file for their results", plans);
  set.add("probes", &flags.probes, "write probes too", plans);
  set.add("bench-step", &flags.bench_step, "prefill=512,decode=128,batch=1:4:16,repeats=5", plans);
  set.add("trace", &flags.trace, "write spans to FILE.rank<N>", plans);

  ASSIGN_OR_RETURN(const std::vector<std::string> rest, set.parse(arguments));
  flags.help = set.help_wanted() || set.help_all_wanted();
  flags.help_text = set.help(true);
  if (flags.help || flags.list_devices) return flags;
  if (!rest.empty()) {
    return invalid("TRI-GRP-027", "'{}' is no flag; see trireme-worker --help", rest.front());
  }
  worker.max_batched_tokens =
      static_cast<int32_t>(std::min<int64_t>(max_batched_tokens, int64_t{1} << 20));
  worker.step_timeout_us = std::max(step_timeout_s, 1) * TimeUs{1'000'000};
  worker.cache_folder = flags.cache_dir == "none" ? "" : flags.cache_dir;
  ASSIGN_OR_RETURN(worker.dtype, dtype_of(dtype));
  RETURN_IF_ERROR(check_built(flags, quantization, kv_dtype));
  return flags;
}

StatusOr<std::string> choose_backend(WorkerFlags& flags, const StatusOr<int>& num_devices) {
  WorkerOptions& worker = flags.worker;
  const int count = num_devices.ok() ? *num_devices : 0;
  const bool is_auto = worker.backend == "auto";
  if (is_auto) {
    worker.backend = count > 0 && worker.dtype != DType::kFloat32 ? "cuda" : "cpu";
  } else if (worker.backend == "cuda" && count == 0) {
    return num_devices.ok() ? invalid("TRI-CUDA-002", "this process sees no GPU; use --backend cpu")
                            : num_devices.status();
  }
  const bool on_gpu = worker.backend == "cuda";
  if (worker.dtype == (on_gpu ? DType::kFloat32 : DType::kFloat16)) {
    return invalid("TRI-GRP-024",
                   "--dtype {} is not built on the {} backend; built are: bfloat16, {}",
                   name_of(worker.dtype),
                   worker.backend,
                   on_gpu ? "float16" : "float32");
  }
  worker.invariant = worker.invariant || !on_gpu;
  if (worker.max_batched_tokens == 0) {
    worker.max_batched_tokens = default_max_batched_tokens(on_gpu ? "cuda" : "cpu");
  }
  return format_text(
      "backend {}{}{}",
      worker.backend,
      is_auto ? format_text(" (auto: {}{}", count, count == 1 ? " GPU)" : " GPUs)") : "",
      worker.invariant ? "" : ", not invariant");
}

// Eager loading: a module that is loaded late would wait behind a kernel that waits for a peer, and
// would take memory that is counted for pages. 32 connections: kernels of ranks that share a device
// wait for one another, so no two ranks may share a hardware queue (TRI-CUDA-021).
void set_cuda_environment(const WorkerFlags& flags) {
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  if (flags.local_ranks > 1) setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
}

int device_of_rank(const WorkerFlags& flags, const HostPlace& place, int num_devices) {
  if (flags.device >= 0) return flags.device;
  const int first = place.is_first_host ? flags.first_device : 0;
  return (first + place.local_rank) % std::max(num_devices, 1);
}

}  // namespace trireme

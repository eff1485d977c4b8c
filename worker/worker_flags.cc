#include "worker/worker_flags.h"

#include <algorithm>

#include "base/flags.h"

namespace trireme {
namespace {

Status not_built(const std::string& flag, const std::string& value, const std::string& built) {
  return invalid("TRI-GRP-024", "--", flag, " ", value, " is not built; built are: ", built);
}

Status check_built(const WorkerFlags& flags,
                   const std::string& dtype,
                   const std::string& backend,
                   const std::string& quantization,
                   const std::string& kv_dtype) {
  if (dtype != "float32" && dtype != "bfloat16" && dtype != "auto") {
    return not_built("dtype", dtype, "bfloat16, float32");
  }
  if (backend != "cpu" && backend != "auto") return not_built("backend", backend, "cpu");
  if (quantization != "none") return not_built("quantization", quantization, "none");
  if (kv_dtype != "auto") return not_built("kv-cache-dtype", kv_dtype, "auto");
  const int sources = !flags.coordinator.empty() + !flags.plans.empty() + !flags.bench_step.empty();
  if (sources != 1) {
    return invalid("TRI-GRP-023",
                   "this worker has ",
                   sources,
                   " sources of plans; give exactly one of --coordinator ENDPOINT, --plans FILE"
                   " and --bench-step SPEC (people start a cluster with: trireme up)");
  }
  if (flags.model.empty()) {
    return invalid("TRI-GRP-025", "--model is missing; name a folder, or dummy:SHAPE");
  }
  const WorkerOptions& worker = flags.worker;
  if (worker.tp < 1 || worker.pp < 1 || worker.max_num_seqs < 1 ||
      worker.max_num_batched_tokens < 1 || worker.max_model_len < 0 || worker.kv_memory_bytes < 0 ||
      worker.threads < 0) {
    return invalid("TRI-GRP-026",
                   "-tp, -pp, --max-num-seqs and --max-num-batched-tokens are at least 1;"
                   " --max-model-len, --kv-memory and --threads at least 0 (0: chosen)");
  }
  return ok_status();
}

}  // namespace

StatusOr<WorkerFlags> parse_worker_flags(const std::vector<std::string>& arguments) {
  WorkerFlags flags;
  WorkerOptions& worker = flags.worker;
  int64_t max_num_batched_tokens = worker.max_num_batched_tokens;
  int step_timeout_s = static_cast<int>(worker.step_timeout_us / 1'000'000);
  std::string dtype = "bfloat16";
  std::string backend = "auto";
  std::string quantization = "none";
  std::string kv_dtype = "auto";

  FlagSet set("trireme-worker", "one rank of a group; started by mpirun");
  const std::string model = "Model";
  set.add("model", &flags.model, "folder of the checkpoint, or dummy:SHAPE", model);
  set.add("dtype", &dtype, "bfloat16 or float32", model);
  set.add("quantization", &quantization, "none", model);
  set.add("kv-cache-dtype", &kv_dtype, "auto: the dtype", model);
  set.add("weights-seed", &flags.weights_seed, "of dummy: models", model);
  const std::string shape = "Shape";
  set.add("tensor-parallel-size", &worker.tp, "ranks of a stage", shape);
  set.alias("-tp", "tensor-parallel-size");
  set.add("pipeline-parallel-size", &worker.pp, "stages", shape);
  set.alias("-pp", "pipeline-parallel-size");
  set.add("backend", &backend, "auto or cpu", shape);
  set.add("threads", &worker.threads, "kernel threads; 0: the cores / ranks of the host", shape);
  set.add("isa", &worker.isa, "auto, portable, avx2, avx512 or avx512_bf16", shape);
  const std::string limits = "Limits";
  set.add("max-num-seqs", &worker.max_num_seqs, "sequences at once", limits);
  set.add_length("max-num-batched-tokens", &max_num_batched_tokens, "tokens of a step", limits);
  set.add_length("max-model-len", &worker.max_model_len, "0: the model's, or what fits", limits);
  set.add_size("kv-memory", &worker.kv_memory_bytes, "of KV pages; 0: chosen", limits);
  set.add_length("vocabulary-limit",
                 &worker.drawable,
                 "ids from here on are never drawn (the tokenizer's size); 0: none",
                 limits);
  set.add("step-timeout", &step_timeout_s, "seconds that a step may take", limits);
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
  if (flags.help) return flags;
  if (!rest.empty()) {
    return invalid("TRI-GRP-027", "'", rest.front(), "' is no flag; see trireme-worker --help");
  }
  worker.max_num_batched_tokens =
      static_cast<int32_t>(std::min<int64_t>(max_num_batched_tokens, int64_t{1} << 20));
  worker.step_timeout_us = std::max(step_timeout_s, 1) * TimeUs{1'000'000};
  worker.dtype = dtype == "float32" ? DType::kFloat32 : DType::kBFloat16;
  RETURN_IF_ERROR(check_built(flags, dtype, backend, quantization, kv_dtype));
  return flags;
}

}  // namespace trireme

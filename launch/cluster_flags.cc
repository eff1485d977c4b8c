#include "launch/cluster_flags.h"

#include <algorithm>
#include <vector>

#include "base/cpu_tiers.h"
#include "base/text.h"

namespace trireme {

namespace {

std::vector<std::string> dtypes_of(const std::string& backend) {
  if (backend == "auto") return {"bfloat16", "float16", "float32"};
  return built_dtypes(backend);
}

}  // namespace

void add_cluster_flags(FlagSet& flags, ClusterFlags& shape, bool is_private) {
  const std::string cut = "Cluster";
  const std::string more = "More of the cluster";
  if (is_private) shape.port = 0;
  const auto add_doors = [&](const std::string& group) {
    flags.add("groups", &shape.groups, "replicas behind one door", group);
    flags.add("host", &shape.host, "address of the client door", group);
    flags.add("port", &shape.port, "its port; 0: any free one", group);
  };
  flags.add("model", &shape.model, "folder of the model, or dummy:SHAPE", cut);
  flags.add("tensor-parallel-size", &shape.tp, "ranks that share each layer", cut);
  flags.alias("-tp", "tensor-parallel-size");
  flags.add("pipeline-parallel-size", &shape.pp, "stages of layers", cut);
  flags.alias("-pp", "pipeline-parallel-size");
  if (!is_private) add_doors(cut);
  flags.add("dtype", &shape.dtype, "bfloat16, float16 (cuda) or float32 (cpu: exact, slower)", cut);
  flags.add("threads", &shape.threads, "of a rank; 0: cores / ranks on the host", cut);
  flags.add_length("max-model-len", &shape.max_model_len, "longest sequence, e.g. 32k", cut);
  flags.add_size("kv-memory", &shape.kv_memory_bytes, "KV pages of a rank, e.g. 2GiB", cut);
  if (is_private) add_doors(more);
  flags.add("backend", &shape.backend, "auto (GPUs, if there are some), cpu or cuda", more);
  flags.add("invariant",
            &shape.invariant,
            "cuda: an answer's bits do not depend on its company (cpu: always)",
            more);
  flags.add("isa", &shape.isa, join_choices(isa_choices()), more);
  flags.add("quantization", &shape.quantization, "none", more);
  flags.add("kv-cache-dtype", &shape.kv_cache_dtype, "auto: the dtype", more);
  flags.add("max-num-seqs", &shape.max_slots, "sequences that run at once", more);
  flags.add_length("max-num-batched-tokens",
                   &shape.max_batched_tokens,
                   format_text("tokens of a step; 0: {} on the CPU, {} on CUDA",
                               default_max_batched_tokens("cpu"),
                               default_max_batched_tokens("cuda")),
                   more);
  flags.add("enable-prefix-caching", &shape.prefix_caching, "share pages of equal prefixes", more);
  flags.add("hostfile", &shape.hostfile, "hosts and slots, as mpirun reads them", more);
  flags.add("launch-agent", &shape.launch_agent, "program that reaches the other hosts", more);
  flags.add("interface", &shape.interface, "network between the hosts, e.g. eth0", more);
  flags.add("nccl-interface", &shape.nccl_interface, "network between the GPUs' hosts", more);
  flags.add("nccl-adapters", &shape.nccl_adapters, "InfiniBand adapters, e.g. mlx5_0", more);
  flags.add("nccl-infiniband", &shape.nccl_infiniband, "let NCCL use InfiniBand", more);
  flags.add("worker-host", &shape.worker_host, "this host, as the other hosts see it", more);
  flags.add("worker-port", &shape.worker_port, "of the worker door; 0: any free one", more);
  flags.add("insecure", &shape.insecure, "allow the client door off loopback", more);
  flags.add("served-model-name", &shape.served_model_name, "the model's name for clients", more);
  flags.add(
      "state",
      &shape.state,
      is_private ? "folder for keys (a temporary one)" : "folder for keys (~/.local/state/trireme)",
      more);
  flags.add("weights-seed", &shape.weights_seed, "of dummy: weights", more);
  flags.add("trace", &shape.trace, "write a timeline (Chrome trace JSON)", more);
  add_log_flags(flags, shape.log, more);
  flags.add("verbose", &shape.verbose, "show every line that coordinator and ranks print", more);
}

Status check_shape(const ClusterFlags& shape) {
  if (shape.model.empty()) {
    return invalid("TRI-UP-003", "--model is missing; name a model's folder, or dummy:SHAPE");
  }
  RETURN_IF_ERROR(parse_log_level(shape.log.level).status());
  const struct {
    const char* flag;
    const std::string& value;
    std::vector<std::string> built;
  } choices[] = {{"backend", shape.backend, {"auto", "cpu", "cuda"}},
                 {"dtype", shape.dtype, dtypes_of(shape.backend)},
                 {"quantization", shape.quantization, {"none"}},
                 {"kv-cache-dtype", shape.kv_cache_dtype, {"auto"}},
                 {"isa", shape.isa, isa_choices()}};
  for (const auto& choice : choices) {
    if (std::ranges::find(choice.built, choice.value) != choice.built.end()) continue;
    return invalid("TRI-UP-001",
                   "--{} {} is not built; built are: {}",
                   choice.flag,
                   choice.value,
                   join(choice.built));
  }
  const struct {
    const char* flag;
    int64_t value, low, high;
  } ranges[] = {{"groups", shape.groups, 1, 64},
                {"port", shape.port, 0, 65535},
                {"worker-port", shape.worker_port, 0, 65535},
                {"threads", shape.threads, 0, 4096},
                {"max-model-len", shape.max_model_len, 0, 1 << 24},
                {"max-num-seqs", shape.max_slots, 1, 65536},
                {"max-num-batched-tokens", shape.max_batched_tokens, 0, 1 << 20}};
  for (const auto& range : ranges) {
    if (range.value >= range.low && range.value <= range.high) continue;
    return invalid("TRI-UP-002",
                   "--{} is {}, allowed is {} to {}",
                   range.flag,
                   range.value,
                   range.low,
                   range.high);
  }
  return ok_status();
}

DType ClusterFlags::compute_dtype() const {
  if (dtype == "float32") return DType::kFloat32;
  return dtype == "float16" ? DType::kFloat16 : DType::kBFloat16;
}

std::vector<std::string> built_dtypes(const std::string& backend) {
  return {"bfloat16", backend == "cuda" ? "float16" : "float32"};
}

bool has_dtype(const std::string& backend, const std::string& dtype) {
  const std::vector<std::string> built = built_dtypes(backend);
  return std::ranges::find(built, dtype) != built.end();
}

}  // namespace trireme

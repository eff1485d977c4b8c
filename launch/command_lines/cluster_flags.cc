#include "launch/command_lines/cluster_flags.h"

#include <algorithm>
#include <vector>

#include "base/cpu_tiers.h"
#include "base/text.h"
#include "base/utf8.h"

namespace trireme {

namespace {

// Of a private cluster, whose folder may be in memory: it has the clients of one job.
constexpr int64_t kPrivateJournalBytes = int64_t{256} << 20;

std::vector<std::string> dtypes_of(const std::string& backend) {
  if (backend == "auto") return {"bfloat16", "float16", "float32"};
  return built_dtypes(backend);
}

}  // namespace

void add_cluster_flags(FlagSet& set, ClusterFlags& flags, bool is_private) {
  const std::string main = "Cluster";
  const std::string more = "More of the cluster";
  if (is_private) flags.port = 0;
  const auto add_doors = [&](const std::string& group) {
    set.add("groups", &flags.groups, "replicas behind one door", group);
    set.add("host", &flags.host, "address of the client door", group);
    set.add("port", &flags.port, "port of the client door; 0: any free one", group);
  };
  set.add("model", &flags.model, "folder of the model, or dummy:SHAPE", main);
  set.add("tensor-parallel-size", &flags.tp, "ranks that share each layer", main);
  set.alias("-tp", "tensor-parallel-size");
  set.add("pipeline-parallel-size", &flags.pp, "stages of layers", main);
  set.alias("-pp", "pipeline-parallel-size");
  if (!is_private) add_doors(main);
  set.add("dtype", &flags.dtype, "bfloat16, float16 (cuda) or float32 (cpu: exact, slower)", main);
  set.add("threads", &flags.threads, "threads per rank; 0: cores / ranks on the host", main);
  set.add_length("max-model-len", &flags.max_model_len, "longest sequence, e.g. 32k", main);
  set.add_size("kv-memory", &flags.kv_memory_bytes, "KV memory per rank, e.g. 2GiB", main);
  if (is_private) add_doors(more);
  set.add("backend", &flags.backend, "auto (cuda if there are GPUs), cpu or cuda", more);
  set.add("invariant",
          &flags.invariant,
          "cuda: batch-invariant, bit-identical answers (cpu: always)",
          more);
  set.add("isa", &flags.isa, join_choices(isa_choices()), more);
  set.add("quantization", &flags.quantization, "none", more);
  set.add("kv-cache-dtype", &flags.kv_cache_dtype, "auto: the dtype", more);
  set.add("max-num-seqs", &flags.max_slots, "maximum number of running sequences", more);
  set.add_length("max-num-batched-tokens",
                 &flags.max_batched_tokens,
                 format_text("maximum tokens per step; 0: {} on the CPU, {} on CUDA",
                             default_max_batched_tokens("cpu"),
                             default_max_batched_tokens("cuda")),
                 more);
  set.add("enable-prefix-caching", &flags.prefix_caching, "share KV pages of equal prefixes", more);
  set.add("hostfile", &flags.hostfile, "hosts and slots, as mpirun reads them", more);
  set.add("launch-agent", &flags.launch_agent, "program that runs commands on other hosts", more);
  set.add("interface", &flags.interface, "network between the hosts, e.g. eth0", more);
  set.add("nccl-interface", &flags.nccl_interface, "network between the GPUs' hosts", more);
  set.add("nccl-adapters", &flags.nccl_adapters, "InfiniBand adapters, e.g. mlx5_0", more);
  set.add("nccl-infiniband", &flags.nccl_infiniband, "let NCCL use InfiniBand", more);
  set.add("worker-host", &flags.worker_host, "address of this host for ranks on other hosts", more);
  set.add("worker-port", &flags.worker_port, "port of the worker door; 0: any free one", more);
  set.add("insecure", &flags.insecure, "allow a client door that is not on loopback", more);
  set.add("served-model-name", &flags.served_model_name, "the model's name for clients", more);
  set.add("chat-template", &flags.chat_template, "Jinja file in place of the model's", more);
  set.add("state",
          &flags.state,
          is_private ? "folder for keys and journal (a temporary one)"
                     : "folder for keys, log and journal (~/.local/state/trireme/MODEL-PORT)",
          more);
  if (is_private) flags.journal.bytes = kPrivateJournalBytes;
  add_journal_flags(set, flags.journal, more);
  set.add("weights-seed", &flags.weights_seed, "seed of dummy: weights", more);
  set.add("trace", &flags.trace, "write a timeline (Chrome trace JSON)", more);
  add_log_flags(set, flags.log, more);
  set.add("verbose", &flags.verbose, "show every line that coordinator and ranks print", more);
}

Status check_cluster_flags(const ClusterFlags& flags) {
  if (flags.model.empty()) {
    return invalid("TRI-UP-003", "--model is missing; name a model's folder, or dummy:SHAPE");
  }
  RETURN_IF_ERROR(check_utf8(flags.served_model_name, "--served-model-name"));
  RETURN_IF_ERROR(parse_log_level(flags.log.level).status());
  RETURN_IF_ERROR(check_journal_flags(flags.journal));
  const struct {
    const char* flag;
    const std::string& value;
    std::vector<std::string> built;
  } choices[] = {{"backend", flags.backend, {"auto", "cpu", "cuda"}},
                 {"dtype", flags.dtype, dtypes_of(flags.backend)},
                 {"quantization", flags.quantization, {"none"}},
                 {"kv-cache-dtype", flags.kv_cache_dtype, {"auto"}},
                 {"isa", flags.isa, isa_choices()}};
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
  } ranges[] = {{"groups", flags.groups, 1, 64},
                {"port", flags.port, 0, 65535},
                {"worker-port", flags.worker_port, 0, 65535},
                {"threads", flags.threads, 0, 4096},
                {"max-model-len", flags.max_model_len, 0, 1 << 24},
                {"max-num-seqs", flags.max_slots, 1, 65536},
                {"max-num-batched-tokens", flags.max_batched_tokens, 0, 1 << 20}};
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

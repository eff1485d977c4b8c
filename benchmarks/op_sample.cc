// Draws from a vocabulary of 128,256 ids: `items` is logits per second.
#include "benchmarks/op_bench.h"

namespace trireme {
namespace {

constexpr int64_t kVocabulary = 128'256;

struct Kind {
  const char* name;
  SamplingRow row;
  int32_t num_logprobs;  // above 0: logprobs instead of a draw
};

void sample(benchmark::State& state,
            const CpuBackendOptions& options,
            const Kind& kind,
            int64_t num_rows) {
  BenchBackend bench(options);
  const Buffer raw_memory = bench.memory(num_rows * kVocabulary * 4);
  const Buffer logits_memory = bench.memory(num_rows * kVocabulary * 4);
  const Tensor raw = raw_memory.as(DType::kFloat32, num_rows, kVocabulary);
  const Tensor logits = logits_memory.as(DType::kFloat32, num_rows, kVocabulary);
  fill_random(raw, 1, 8);
  std::vector<SamplingRow> rows(num_rows, kind.row);
  std::vector<ShardDraw> draws(num_rows);
  std::vector<int32_t> identity(num_rows);
  for (int64_t i = 0; i < num_rows; ++i) identity[i] = static_cast<int32_t>(i);
  std::vector<TokenLogprob> logprobs(num_rows * (1 + kind.num_logprobs));
  for (auto _ : state) {
    if (kind.num_logprobs > 0) {
      bench.backend->logprobs(
          *bench.queue, bench.workspace, raw, identity.data(), kind.num_logprobs, logprobs.data());
    } else if (kind.row.has_penalty()) {
      bench.backend->adjust_logits(
          *bench.queue, bench.workspace, logits, 0, kVocabulary, rows.data());
    } else if (kind.row.needs_whole_row()) {  // overwrites the rows: copied first, as in a step
      bench.backend->gather_rows(*bench.queue, raw, identity.data(), logits);
      bench.backend->draw_whole(
          *bench.queue, bench.workspace, logits, WholeRows::kAll, rows.data(), draws.data());
    } else {
      bench.backend->draw_shard(*bench.queue, bench.workspace, raw, 0, rows.data(), draws.data());
    }
  }
  state.counters["items"] = rate(static_cast<double>(num_rows * kVocabulary));
}

void register_all() {
  SamplingRow greedy, plain, top_k, top_p, penalties;
  static const std::vector<int32_t> history = [] {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 1000; ++i) ids.push_back(i * 31 % kVocabulary);
    return ids;
  }();
  penalties.presence_penalty = 0.5f;
  penalties.history = history.data();
  penalties.num_prompt = 500;
  penalties.num_history = static_cast<int32_t>(history.size());
  greedy.temperature = 0;
  top_k.top_k = 50;
  top_p.top_p = 0.9f;
  const Kind kinds[] = {{"greedy", greedy, 0},
                        {"draw", plain, 0},
                        {"top_k", top_k, 0},
                        {"top_p", top_p, 0},
                        {"adjust_logits", penalties, 0},
                        {"logprobs", plain, 20}};
  for (const Kind& kind : kinds) {
    for (const int64_t num_rows : {1, 16}) {
      register_tiers(format_text("sample/{}/{}", kind.name, num_rows),
                     {DType::kBFloat16},
                     [kind, num_rows](benchmark::State& state, const CpuBackendOptions& options) {
                       sample(state, options, kind, num_rows);
                     });
    }
  }
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::register_all();
  return trireme::run_benchmarks(argc, argv);
}

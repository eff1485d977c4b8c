// Encodes and decodes text with the demo model's tokenizer on one thread: `bytes` of text per
// second.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>

#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

std::unique_ptr<const Tokenizer> demo_tokenizer() {
  return Tokenizer::load(TRIREME_SOURCE_DIR "/models/demo/tokenizer.json").value();
}

// `bytes` bytes of this project's documentation.
std::string prose(size_t bytes) {
  std::ifstream file(TRIREME_SOURCE_DIR "/docs/architecture.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  std::string text;
  while (text.size() < bytes) text += page;
  text.resize(bytes);
  return text;
}

void encode(benchmark::State& state) {
  const auto tokenizer = demo_tokenizer();
  const std::string text = prose(static_cast<size_t>(state.range(0)));
  size_t ids = 0;
  for (auto _ : state) ids = tokenizer->encode(text, {}).value().size();
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["bytes_per_id"] = static_cast<double>(text.size()) / static_cast<double>(ids);
}

void decode(benchmark::State& state) {
  const auto tokenizer = demo_tokenizer();
  const std::string text = prose(static_cast<size_t>(state.range(0)));
  const std::vector<TokenId> ids = tokenizer->encode(text, {}).value();
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->decode(ids, true));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(encode)->Arg(1 << 10)->Arg(64 << 10)->Arg(1 << 20);
BENCHMARK(decode)->Arg(64 << 10);

}  // namespace
}  // namespace trireme

BENCHMARK_MAIN();

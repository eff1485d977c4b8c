// Compiling a chat template and rendering a conversation of 20 turns with it; the values are read
// from JSON apart.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>
#include <string>

#include "model/chat/jinja/jinja_template.h"

namespace trireme {
namespace {

constexpr const char* kTemplates[] = {"plain", "headers", "reasoning", "tools_json", "channels"};

std::string source_of(const benchmark::State& state) {
  const std::string name = kTemplates[state.range(0)];
  std::ifstream file(TRIREME_SOURCE_DIR "/tests/data/chat/" + name + ".jinja", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string conversation() {
  const std::string sentence = "The quick brown fox jumps over the lazy dog, and goes on. ";
  std::string json = R"({"bos_token": "<s>", "add_generation_prompt": true, "tools": null, )";
  json += R"("eos_token": "</s>", "messages": [)";
  for (int turn = 0; turn < 20; ++turn) {
    if (turn > 0) json += ", ";
    json += turn % 2 == 0 ? R"({"role": "user", "content": ")"
                          : R"({"role": "assistant", "content": ")";
    for (int i = 0; i < 10; ++i) json += sentence;
    json += "\"}";
  }
  return json + "]}";
}

void BM_Compile(benchmark::State& state) {
  const std::string source = source_of(state);
  TemplateError error;
  for (auto _ : state) benchmark::DoNotOptimize(JinjaTemplate::compile(source, error));
  state.SetLabel(kTemplates[state.range(0)]);
}
BENCHMARK(BM_Compile)->DenseRange(0, 4)->Unit(benchmark::kMicrosecond);

void BM_Render20Turns(benchmark::State& state) {
  TemplateError error;
  const auto compiled = JinjaTemplate::compile(source_of(state), error);
  const std::string json = conversation();
  JinjaHeap heap;
  JinjaValue variables;
  if (compiled == nullptr ||
      !heap.from_json(*JsonValue::parse(json, "TRI-CHAT-006", "it"), Origin::kMessage, variables)) {
    state.SkipWithError("no template or no values");
    return;
  }
  for (auto _ : state) {
    MarkedText out;
    if (!compiled->render(variables, {}, out, error)) state.SkipWithError(error.message.c_str());
    benchmark::DoNotOptimize(out);
  }
  state.SetLabel(kTemplates[state.range(0)]);
}
BENCHMARK(BM_Render20Turns)->DenseRange(0, 4)->Unit(benchmark::kMicrosecond);

void BM_ReadValues(benchmark::State& state) {
  const std::string json = conversation();
  for (auto _ : state) {
    JinjaHeap heap;
    JinjaValue variables;
    const bool read =
        heap.from_json(*JsonValue::parse(json, "TRI-CHAT-006", "it"), Origin::kMessage, variables);
    benchmark::DoNotOptimize(read);
  }
}
BENCHMARK(BM_ReadValues)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trireme

BENCHMARK_MAIN();

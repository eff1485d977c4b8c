// Cost of a step in the coordinator, in one thread without sockets or text: with N running decodes
// it commits a result, plans and encodes the next step and decodes the next result. The time of the
// fake workers is not counted. Second benchmark: memory of a waiting request.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <chrono>
#include <deque>

#include "coordinator/engine/engine.h"
#include "proto/step_codec.h"
#include "tests/simulation/fake_group.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int32_t kVocabulary = 32'000;

EngineOptions options_of(int32_t decodes) {
  EngineOptions options;
  options.vocabulary_size = kVocabulary;
  options.max_slots = decodes;
  options.max_batched_tokens = 16 * decodes;
  return options;
}

SubmitRequest request_of(int32_t number, int32_t prompt, int32_t answer) {
  SubmitRequest submit;
  submit.connection = 1 + static_cast<ConnectionId>(number);
  for (int32_t i = 0; i < prompt; ++i) submit.prompt.push_back((number * 131 + i) % kVocabulary);
  submit.params.max_tokens = answer;
  submit.params.seed = number;
  submit.params.ignore_eos = true;
  submit.credit_bytes = int64_t{1} << 40;
  return submit;
}

// An engine whose requests all decode, with the work of one turn of the loop.
class RunningEngine {
 public:
  RunningEngine(int32_t decodes, int32_t context)
      : decodes_(decodes), engine_(options_of(decodes)), fake_(shape(), kVocabulary) {
    engine_.on(event::GroupReady{shape()}, 1, effects_);
    for (int32_t i = 0; i < decodes; ++i) {
      engine_.on(event::Submitted{request_of(i, context, 4096)}, 1, effects_);
    }
    pass_on();
    while (running_ < decodes) step();
  }

  // False shortly before the first answers end.
  bool has_more() const { return steps_ < 3000; }

  // Runs one step; returns the coordinator's share of its time.
  Clock::duration step() {
    const Clock::time_point begin = Clock::now();
    (void)codec_.decode(results_.front(), message_);
    engine_.on(event::StepDone{0, std::get<StepResult>(std::move(message_))}, 1, effects_);
    encode_plans();
    engine_.on(event::Durable{durable_}, 1, effects_);
    const Clock::time_point end = Clock::now();
    results_.pop_front();
    ++steps_;
    execute();
    return end - begin;
  }

 private:
  GroupShape shape() const {
    GroupShape shape;
    shape.epoch = 1;
    shape.num_pages = decodes_ * 192;
    shape.page_tokens = 32;
    shape.max_slots = decodes_;
    shape.max_batched_tokens = 16 * decodes_;
    shape.max_model_len = 6144;
    return shape;
  }
  void encode_plans() {
    for (const Effect& effect : effects_) {
      if (const auto* append = std::get_if<effect::Append>(&effect)) durable_ = append->sequence;
      const auto* send = std::get_if<effect::SendPlan>(&effect);
      if (send == nullptr) continue;
      codec_.encode(send->plan, frame_);
      running_ = static_cast<int32_t>(send->plan.parts[0].decodes.size());
    }
  }
  void execute() {
    for (const Effect& effect : effects_) {
      const auto* send = std::get_if<effect::SendPlan>(&effect);
      if (send == nullptr) continue;
      std::string result;
      codec_.encode(fake_.execute(send->plan), result);
      results_.push_back(std::move(result));
    }
    effects_.clear();
  }
  void pass_on() {
    encode_plans();
    engine_.on(event::Durable{durable_}, 1, effects_);
    execute();
  }

  const int32_t decodes_;
  Engine engine_;
  FakeGroup fake_;
  StepCodec codec_;
  RankMessage message_;
  std::string frame_;
  std::vector<Effect> effects_;
  std::deque<std::string> results_;
  uint64_t durable_ = 0;
  int32_t running_ = 0;
  int64_t steps_ = 0;
};

void engine_step(benchmark::State& state) {
  const auto decodes = static_cast<int32_t>(state.range(0));
  auto engine = std::make_unique<RunningEngine>(decodes, 128);
  for (auto _ : state) {
    if (!engine->has_more()) engine = std::make_unique<RunningEngine>(decodes, 128);
    state.SetIterationTime(std::chrono::duration<double>(engine->step()).count());
  }
  state.counters["steps"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["tokens"] =
      benchmark::Counter(decodes, benchmark::Counter::kIsIterationInvariantRate);
}

// Heap bytes per waiting request, and those beyond 8 per prompt token.
void waiting_request(benchmark::State& state) {
  constexpr int32_t kRequests = 1000;
  const auto prompt = static_cast<int32_t>(state.range(0));
  double kept = 0;
  for (auto _ : state) {
    Engine engine(options_of(256));
    std::vector<Effect> effects;
    const size_t before = ::mallinfo2().uordblks;
    for (int32_t i = 0; i < kRequests; ++i) {
      engine.on(event::Submitted{request_of(i, prompt, 256)}, 1, effects);
      effects.clear();
    }
    kept = static_cast<double>(::mallinfo2().uordblks - before) / kRequests;
  }
  state.counters["bytes"] = kept;
  state.counters["bytes_beyond_8_per_token"] = kept - 8.0 * prompt;
}

BENCHMARK(engine_step)->Arg(1)->Arg(32)->Arg(256)->Arg(1024)->UseManualTime();
BENCHMARK(waiting_request)->Arg(10)->Arg(4000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace trireme

BENCHMARK_MAIN();

#include "proto/step_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "base/status.h"
#include "proto/frame.h"

namespace trireme {
namespace step_codec_test {

using Random = std::mt19937_64;

int32_t number(Random& random, int32_t below) {
  return static_cast<int32_t>(random() % static_cast<uint64_t>(below));
}

template <class Make>
auto list(Random& random, int max, Make make) {
  std::vector<decltype(make())> values(static_cast<size_t>(number(random, max + 1)));
  for (auto& value : values) value = make();
  return values;
}

OpenedSlot random_opened(Random& random) {
  OpenedSlot opened;
  opened.slot = number(random, 4096);
  opened.seed = random();
  opened.choice = static_cast<uint32_t>(random());
  opened.sampling.temperature = static_cast<float>(number(random, 200)) / 100;
  opened.sampling.top_k = number(random, 100);
  opened.sampling.top_p = 0.25f;
  opened.sampling.min_p = 0.125f;
  opened.sampling.repetition_penalty = 1.5f;
  opened.sampling.presence_penalty = -0.5f;
  opened.sampling.frequency_penalty = 0.5f;
  opened.sampling.logit_bias =
      list(random, 3, [&] { return std::pair<TokenId, float>(number(random, 99), -1.5f); });
  opened.sampling.min_tokens = number(random, 9);
  opened.sampling.end_ids = list(random, 3, [&] { return number(random, 1 << 30); });
  opened.sampling.num_logprobs = number(random, kMaxLogprobs + 2) - 1;
  opened.computed = number(random, 1 << 20);
  opened.num_prompt = number(random, 1 << 20);
  opened.num_emitted = number(random, 1 << 20);
  opened.history = list(random, 40, [&] { return number(random, 1 << 30); });
  return opened;
}

StepPlan random_plan(Random& random) {
  StepPlan plan;
  plan.epochs = {random(), random()};
  plan.step = number(random, 1 << 30);
  plan.wait_ids_through = number(random, 1 << 30);
  plan.graph_key = {number(random, 512), number(random, 512), random() % 2 == 0};
  plan.late = random() % 2 == 0;
  plan.parts = list(random, 2, [&] {
    const auto slot = [&] { return number(random, 4096); };
    const auto large = [&] { return number(random, 1 << 30); };
    StepPart part;
    part.closed = list(random, 5, slot);
    part.opened = list(random, 3, [&] { return random_opened(random); });
    part.grants = list(random, 9, [&] { return PageGrant{slot(), large()}; });
    part.copies = list(random, 3, [&] { return PageCopy{large(), large()}; });
    part.decodes = list(random, 70, slot);
    part.chunks = list(random, 4, [&] {
      return Chunk{slot(), large(), random() % 2 == 0, list(random, 50, large)};
    });
    part.verifies = list(random, 3, [&] { return Verify{slot(), number(random, 9)}; });
    part.scores = list(random, 3, [&] {
      return ScoreRequest{slot(), large(), large(), number(random, 21)};
    });
    part.probes = list(random, 3, [&] {
      return ProbeRequest{slot(), large(), number(random, 40) - 1};
    });
    return part;
  });
  plan.retired_through = number(random, 1000);
  return plan;
}

std::vector<LogprobEntry> random_logprobs(Random& random) {
  return list(random, 4, [&] {
    LogprobEntry entry;
    entry.slot = number(random, 4096);
    entry.position = number(random, 1 << 20);
    entry.token = {number(random, 1 << 20), -0.25f * static_cast<float>(number(random, 99))};
    entry.top = list(random, kMaxLogprobs, [&] {
      return TokenAndLogprob{number(random, 1 << 20), -1.5f};
    });
    return entry;
  });
}

StepResult random_result(Random& random) {
  StepResult result;
  result.epochs = {random(), random()};
  result.step = number(random, 1 << 30);
  result.slots = list(random, 40, [&] { return number(random, 4096); });
  for (size_t i = 0; i < result.slots.size(); ++i) {
    result.counts.push_back(number(random, 3));
    for (int j = 0; j < result.counts.back(); ++j) result.ids.push_back(number(random, 1 << 20));
  }
  result.logprobs = random_logprobs(random);
  result.scores = random_logprobs(random);
  result.failures = list(random, 2, [&] {
    return SlotFailure{number(random, 4096), "TRI-REQ-001: too much"};
  });
  result.compute_us = number(random, 1 << 30);
  result.waited_us = number(random, 1 << 30);
  return result;
}

RankHello some_hello() {
  RankHello hello;
  hello.group = 3;
  hello.rank = 5;
  hello.host = "galley";
  hello.pid = 4711;
  hello.tp = 2;
  hello.pp = 4;
  hello.fingerprint = std::string(64, 'f');
  hello.dtype = "bfloat16";
  hello.invariant = false;
  hello.backend = "cpu";
  hello.isa = "avx2";
  hello.kv_layout = {2, "float32", 64, 80, 128, 1, 16};
  hello.pages = int64_t{1} << 33;
  hello.max_slots = 256;
  hello.max_batched_tokens = 512;
  hello.max_model_len = 131072;
  hello.token_buckets = {1, 2, 4, 512};
  hello.row_buckets = {1, 8};
  return hello;
}

Heartbeat some_heartbeat() {
  Heartbeat heartbeat;
  heartbeat.epochs = {7, 9};
  heartbeat.group = 1;
  heartbeat.rank = 2;
  heartbeat.tp = 2;
  heartbeat.pp = 2;
  heartbeat.host = "galley";
  heartbeat.pid = 12;
  heartbeat.progress = ~uint64_t{0};
  heartbeat.phase = Phase::kWaitTensor;
  heartbeat.step = 99;
  heartbeat.load_bytes = 5;
  heartbeat.load_total_bytes = int64_t{1} << 40;
  heartbeat.step_completed = 98;
  return heartbeat;
}

const std::string kJournalId("journal \x00\xff id 16", 16);

Probe some_probe() {
  Probe probe;
  probe.epochs = {7, 9};
  probe.step = 3;
  probe.slot = 4;
  probe.position = 17;
  probe.offset = 2;
  probe.num_values = 5;
  probe.values = {0.5f, -1.25f, 3e38f};
  return probe;
}

template <class Variant, class Value>
void expect_round_trip(StepCodec& codec, const Value& value, Variant& into) {
  std::string frame;
  codec.encode(value, frame);
  const Status status = codec.decode(frame, into);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(std::holds_alternative<Value>(into));
  EXPECT_EQ(std::get<Value>(into), value);
}

TEST(StepCodec, RandomPlansAndResultsRoundTripThroughOneCodecAndValue) {
  Random random(20240601);
  StepCodec codec;
  CoordinatorMessage plan;
  RankMessage result;
  for (int i = 0; i < 500; ++i) {
    expect_round_trip(codec, random_plan(random), plan);
    expect_round_trip(codec, random_result(random), result);
  }
}

TEST(StepCodec, EveryOtherMessageRoundTrips) {
  StepCodec codec;
  RankMessage up;
  RankHello hello = some_hello();
  hello.previous_life = {kJournalId, {1, 2}, 8, 7};
  expect_round_trip(codec, hello, up);
  expect_round_trip(codec, some_hello(), up);
  expect_round_trip(codec, RankStarted{{1, 2}}, up);
  expect_round_trip(codec, some_heartbeat(), up);
  expect_round_trip(codec, some_probe(), up);
  expect_round_trip(
      codec, Goodbye{{1, 2}, 3, 4, "galley", "TRI-LOAD-001: no such file", true, 11, 7}, up);
  expect_round_trip(codec, KeptPlan{{1, 2}, 8, std::string("\x00\xff frame", 8)}, up);
  CoordinatorMessage down;
  expect_round_trip(codec, Start{{1, 2}, 4096, ""}, down);
  expect_round_trip(codec, Start{{1, 2}, 4096, kJournalId}, down);
  expect_round_trip(codec, RecallPlans{{1, 2}, 8, 9}, down);
  expect_round_trip(codec, Fence{{1, 2}, "TRI-GRP-041: a rank was lost", false}, down);
  expect_round_trip(codec, Fence{{1, 2}, "TRI-GRP-054: the cluster has drained", true}, down);
  expect_round_trip(codec, StepLate{{1, 2}, 7, {3, 4}, {"\x01\x02", "\xff"}}, down);
}

TEST(StepCodec, AStepOf1024DecodesHasAtMostTwoKilobytes) {
  StepPlan plan;
  plan.epochs = {1, 1};
  plan.step = 1000;
  plan.parts.resize(1);
  for (SlotId slot = 0; slot < 1024; ++slot) plan.parts[0].decodes.push_back(slot);
  StepCodec codec;
  std::string frame;
  codec.encode(plan, frame);
  EXPECT_LE(frame.size(), 2048u);
}

std::vector<std::string> sample_frames() {
  Random random(7);
  StepCodec codec;
  std::vector<std::string> frames(14);
  for (int i = 0; i < 3; ++i) codec.encode(random_plan(random), frames[static_cast<size_t>(i)]);
  for (int i = 3; i < 6; ++i) codec.encode(random_result(random), frames[static_cast<size_t>(i)]);
  codec.encode(some_hello(), frames[6]);
  codec.encode(some_heartbeat(), frames[7]);
  codec.encode(some_probe(), frames[8]);
  codec.encode(Goodbye{{1, 2}, 3, 4, "galley", "why", true}, frames[9]);
  codec.encode(Start{{1, 2}, 4096, ""}, frames[10]);
  codec.encode(StepLate{{1, 2}, 7, {3}, {"\x01"}}, frames[11]);
  codec.encode(KeptPlan{{1, 2}, 8, frames[0]}, frames[12]);
  RankHello hello = some_hello();
  hello.previous_life = {kJournalId, {1, 2}, 8, 7};
  codec.encode(hello, frames[13]);
  return frames;
}

void mutate(Random& random, std::string& frame) {
  const int changes = 1 + number(random, 4);
  for (int i = 0; i < changes && !frame.empty(); ++i) {
    const size_t at = random() % frame.size();
    switch (random() % 4) {
      case 0:
        frame[at] = static_cast<char>(random());
        break;
      case 1:
        frame.erase(at, 1 + random() % 8);
        break;
      case 2:
        frame.insert(at, 1 + random() % 8, static_cast<char>(random()));
        break;
      default:
        frame[at] = static_cast<char>(0xff);
    }
  }
}

void expect_error_has_an_id(const Status& status) {
  if (!status.ok()) {
    EXPECT_EQ(error_id(status).substr(0, 8), "TRI-NET-") << status;
  }
}

TEST(StepCodec, TenThousandMutatedFramesAreReadOrRefusedWithAnId) {
  Random random(99);
  const std::vector<std::string> frames = sample_frames();
  StepCodec codec;
  RankMessage up;
  CoordinatorMessage down;
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string frame = frames[random() % frames.size()];
    mutate(random, frame);
    const Status up_status = codec.decode(frame, up);
    const Status down_status = codec.decode(frame, down);
    expect_error_has_an_id(up_status);
    expect_error_has_an_id(down_status);
    refused += !up_status.ok() && !down_status.ok();
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 10'000);
}

Status decode_up(const std::string& frame) {
  StepCodec codec;
  RankMessage message;
  return codec.decode(frame, message);
}

TEST(StepCodec, MalformedFramesAreRefusedWithTheReason) {
  EXPECT_EQ(error_id(decode_up("")), "TRI-NET-001");
  EXPECT_EQ(error_id(decode_up("\x01")), "TRI-NET-001");
  EXPECT_EQ(error_id(decode_up("\x09\x43")), "TRI-NET-002");
  EXPECT_EQ(error_id(decode_up("\x01\x43\xff\xff\xff")), "TRI-NET-003");
  EXPECT_EQ(error_id(decode_up("\x01\x61")), "TRI-NET-005");
  std::string large("\x01\x43");
  large.resize(static_cast<size_t>(kMaxStepFrameBytes) + 3);
  EXPECT_EQ(error_id(decode_up(large)), "TRI-NET-004");
}

TEST(StepCodec, CountsThatDisagreeAndNegativeValuesAreRefused) {
  StepCodec codec;
  StepResult result;
  result.slots = {1, 2};
  result.counts = {1};
  result.ids = {5};
  std::string frame;
  codec.encode(result, frame);
  EXPECT_EQ(error_id(decode_up(frame)), "TRI-NET-006");
  result.counts = {1, 1};
  codec.encode(result, frame);
  EXPECT_EQ(error_id(decode_up(frame)), "TRI-NET-006");
  result.ids = {5, -1};
  codec.encode(result, frame);
  EXPECT_EQ(error_id(decode_up(frame)), "TRI-NET-006");
  result.ids = {5, 6};
  codec.encode(result, frame);
  EXPECT_TRUE(decode_up(frame).ok());
}

TEST(StepCodec, AJournalIdHasItsLengthOrIsAbsent) {
  StepCodec codec;
  CoordinatorMessage down;
  std::string frame;
  for (const size_t size : {1, 15, 17, 32}) {
    codec.encode(Start{{1, 2}, 1, std::string(size, 'j')}, frame);
    EXPECT_EQ(error_id(codec.decode(frame, down)), "TRI-NET-006") << size;
  }
}

TEST(StepCodec, EveryPhaseArrivesAsItWasSentAndAnUnknownOneIsRefused) {
  StepCodec codec;
  std::string frame;
  Heartbeat beat;
  for (int value = 0; value <= static_cast<int>(Phase::kWaitTensor); ++value) {
    beat.phase = static_cast<Phase>(value);
    codec.encode(beat, frame);
    RankMessage message;
    ASSERT_TRUE(codec.decode(frame, message).ok());
    EXPECT_EQ(std::get<Heartbeat>(message).phase, beat.phase);
  }
  const size_t at = frame.find("\x40\x08");  // field 8 (phase), varint 8
  ASSERT_NE(at, std::string::npos);
  frame[at + 1] = 9;
  RankMessage message;
  EXPECT_EQ(error_id(codec.decode(frame, message)), "TRI-NET-006");
}

}  // namespace step_codec_test
}  // namespace trireme

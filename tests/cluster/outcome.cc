#include "tests/cluster/outcome.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace trireme {
namespace {

void append(std::vector<std::byte>& bytes, const std::string& frame) {
  const uint64_t size = frame.size();
  const auto* prefix = reinterpret_cast<const std::byte*>(&size);
  bytes.insert(bytes.end(), prefix, prefix + sizeof size);
  const auto* data = reinterpret_cast<const std::byte*>(frame.data());
  bytes.insert(bytes.end(), data, data + frame.size());
}

void take_result(const StepResult& result, Outcome& outcome) {
  ++outcome.results;
  size_t next = 0;
  for (size_t i = 0; i < result.slots.size(); ++i) {
    for (int32_t n = 0; n < result.counts[i]; ++n) {
      outcome.tokens[result.slots[i]].push_back(result.ids[next++]);
    }
  }
  const auto join_to = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  join_to(outcome.logprobs, result.logprobs);
  join_to(outcome.scores, result.scores);
  join_to(outcome.failures, result.failures);
}

}  // namespace

template <class Message>
void OutcomeFrames::keep(const Message& message) {
  codec_.encode(message, frame_);
  append(bytes_, frame_);
}
template void OutcomeFrames::keep(const StepResult&);
template void OutcomeFrames::keep(const Probe&);

void take_frames(const std::vector<std::byte>& bytes, Outcome& outcome) {
  StepCodec codec;
  RankMessage message;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof size);
    at += sizeof size;
    const Status decoded =
        codec.decode({reinterpret_cast<const char*>(bytes.data() + at), size}, message);
    ASSERT_TRUE(decoded.ok()) << message_of(decoded);
    at += size;
    if (const auto* result = std::get_if<StepResult>(&message)) take_result(*result, outcome);
    if (const auto* probe = std::get_if<Probe>(&message)) {
      auto& values = outcome.probes[{probe->slot, probe->position, probe->layer}];
      values.resize(probe->num_values);
      std::copy(probe->values.begin(), probe->values.end(), values.begin() + probe->offset);
    }
  }
}

}  // namespace trireme

// The results and probes of a group under test: recorded as frames on the ranks that emit them, so
// that they can be sent, and merged into one outcome.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "model/step_plan.h"
#include "proto/step_codec.h"
#include "worker/control/result_sink.h"

namespace trireme {

struct Partition {
  int tp = 1;
  int pp = 1;
};

// Everything that the answering rank and the probing ranks emitted.
struct Outcome {
  std::map<SlotId, std::vector<TokenId>> tokens;
  std::map<std::tuple<SlotId, int32_t, int32_t>, std::vector<float>>
      probes;  // slot, position, layer
  std::vector<LogprobEntry> logprobs;
  std::vector<LogprobEntry> scores;
  std::vector<SlotFailure> failures;
  int64_t results = 0;

  const std::vector<float>& logits(SlotId slot, int32_t position) const {
    static const std::vector<float> kNone;
    const auto found = probes.find({slot, position, -1});
    return found == probes.end() ? kNone : found->second;
  }
};

// Records what a rank emits, as frames.
class OutcomeFrames final : public ResultSink {
 public:
  void on_result(StepResult& result) override { keep(result); }
  void on_probe(Probe& probe) override { keep(probe); }

  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  template <class Message>
  void keep(const Message& message);

  StepCodec codec_;
  std::string frame_;
  std::vector<std::byte> bytes_;
};

// Adds the frames of a rank.
void take_frames(const std::vector<std::byte>& bytes, Outcome& outcome);

}  // namespace trireme

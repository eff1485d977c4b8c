// How far the answer to one request was received, over all its connections: what the next Resume
// has to name, and which events say again what was received. Plain value.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "clients/cpp/client_events.h"

namespace trireme {

class AnswerProgress {
 public:
  AnswerProgress() = default;
  // Of an answer that is read from `next_index` on (door::Resume).
  explicit AnswerProgress(std::vector<int32_t> next_index) : next_(std::move(next_index)) {}

  // The events that follow come from a new stream.
  void begin_stream() { probed_again_.clear(); }
  // Notes an event of the answer. Values of the prompt, which a resumed request sends again from
  // the first on, are cut to those that are new. False: the event has nothing new.
  bool take(ClientEvent& event);

  // Per choice, as door::Resume has it.
  const std::vector<int32_t>& next_index() const { return next_; }
  bool has_output() const { return !next_.empty(); }

 private:
  int32_t& next_of(int32_t choice);
  bool take(const door::Piece& piece);
  bool take(const door::Finished& finished);
  bool take(door::PromptLogprobs& logprobs);
  bool take(door::ProbeValues& values);

  std::vector<int32_t> next_;
  int32_t next_position_ = 0;  // of the prompt's log-probabilities
  // Of each probe, by position and layer: the values received, in all and from this stream. A
  // request may have the same probe twice.
  std::map<std::pair<int32_t, int32_t>, int64_t> probed_;
  std::map<std::pair<int32_t, int32_t>, int64_t> probed_again_;
};

}  // namespace trireme

#include "clients/cpp/answer_progress.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace trireme {

namespace {

constexpr int32_t kMaxChoice = (1 << 16) - 1;  // more than a coordinator allows

}  // namespace

bool AnswerProgress::take(ClientEvent& event) {
  if (auto* piece = std::get_if<door::Piece>(&event)) return take(*piece);
  if (auto* finished = std::get_if<door::Finished>(&event)) return take(*finished);
  if (auto* logprobs = std::get_if<door::PromptLogprobs>(&event)) return take(*logprobs);
  if (auto* values = std::get_if<door::ProbeValues>(&event)) return take(*values);
  return true;
}

int32_t& AnswerProgress::next_of(int32_t choice) {
  const auto index = static_cast<size_t>(std::clamp(choice, 0, kMaxChoice));
  if (next_.size() <= index) next_.resize(index + 1);
  return next_[index];
}

// The coordinator begins at the named index: a piece is new, or was received as a whole.
bool AnswerProgress::take(const door::Piece& piece) {
  int32_t& next = next_of(piece.choice);
  const int32_t end = piece.first_index + static_cast<int32_t>(piece.token_ids.size());
  if (next == door::kEndedIndex || (end <= next && !piece.token_ids.empty())) return false;
  next = std::max(next, end);
  return true;
}

bool AnswerProgress::take(const door::Finished& finished) {
  return std::exchange(next_of(finished.choice), door::kEndedIndex) != door::kEndedIndex;
}

bool AnswerProgress::take(door::PromptLogprobs& logprobs) {
  const auto count = static_cast<int32_t>(logprobs.entries.size());
  const int32_t known = std::clamp(next_position_ - logprobs.first_position, 0, count);
  if (known == count) return false;
  logprobs.entries.erase(logprobs.entries.begin(), std::next(logprobs.entries.begin(), known));
  logprobs.first_position += known;
  next_position_ = logprobs.first_position + count - known;
  return true;
}

bool AnswerProgress::take(door::ProbeValues& values) {
  const std::pair probe(values.position, values.layer);
  int64_t& received = probed_[probe];
  int64_t& again = probed_again_[probe];
  const auto count = static_cast<int64_t>(values.values.size());
  const int64_t known = std::clamp<int64_t>(received - again, 0, count);
  again += count;
  received = std::max(received, again);
  if (known == count) return false;
  values.values.erase(values.values.begin(), std::next(values.values.begin(), known));
  values.offset += known;
  return true;
}

}  // namespace trireme

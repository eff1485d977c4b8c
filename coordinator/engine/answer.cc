#include "coordinator/engine/answer.h"

#include <algorithm>
#include <utility>

#include "coordinator/engine/answer_text.h"

namespace trireme {
namespace {

int64_t bytes_of(const AnswerPart& part) {
  return static_cast<int64_t>(sizeof part + part.call_id.size() + part.name.size() +
                              part.text.size());
}

}  // namespace

int64_t Answer::bytes() const {
  auto bytes = static_cast<int64_t>(text.size() + text_end.size() * sizeof(uint32_t));
  for (const PlacedPart& placed : parts) bytes += bytes_of(placed.part);
  for (const LogprobEntry& entry : logprobs) {
    bytes += static_cast<int64_t>(sizeof entry + entry.top.size() * sizeof(TokenAndLogprob));
  }
  if (!ending) return bytes;
  bytes += static_cast<int64_t>(ending->text.size());
  for (const AnswerPart& part : ending->parts) bytes += bytes_of(part);
  return bytes;
}

void Answer::add(std::string_view released, std::vector<AnswerPart> released_parts) {
  const int32_t index = num_ids();
  text += released;
  text_end.push_back(static_cast<uint32_t>(text.size()));
  for (AnswerPart& part : released_parts) parts.push_back({index, std::move(part)});
}

void Answer::read(int32_t first, int32_t last, effect::Tokens& tokens) const {
  if (first >= last) return;
  const size_t begin = first == 0 ? 0 : text_end[static_cast<size_t>(first) - 1];
  tokens.text = text.substr(begin, text_end[static_cast<size_t>(last) - 1] - begin);
  if (first == 0) tokens.echo_bytes = echo_bytes;
  const auto before = [](const PlacedPart& placed, int32_t index) { return placed.index < index; };
  auto placed = std::lower_bound(parts.begin(), parts.end(), first, before);
  for (; placed != parts.end() && placed->index < last; ++placed) {
    append_part(tokens.parts, placed->part);
  }
  const auto known = static_cast<int32_t>(logprobs.size());
  tokens.logprobs.assign(logprobs.begin() + std::min(first, known),
                         logprobs.begin() + std::min(last, known));
}

}  // namespace trireme

#include "model/chat/dialect/answer_place.h"

#include <algorithm>
#include <utility>

#include "model/chat/dialect/atoms.h"

namespace trireme {

AnswerPlace::AnswerPlace(std::string prompt, std::string_view plain)
    : prompt_(std::move(prompt)),
      generation_bytes_(prompt_.size() - common_atom_prefix(prompt_, plain)) {}

bool AnswerPlace::add(std::string_view prompt, std::string_view answered) {
  const size_t opened = prompt.size() - common_atom_prefix(prompt, answered);
  if (opened > generation_bytes_) return false;
  opened_bytes_ = std::max(opened_bytes_, opened);
  return true;
}

std::optional<std::string> AnswerPlace::answer_in(std::string_view prompt,
                                                  std::string_view answered) const {
  const std::string_view begin = prompt.substr(0, prompt.size() - opened_bytes_);
  if (!answered.starts_with(begin)) return std::nullopt;
  return std::string(answered.substr(begin.size()));
}

std::string AnswerPlace::header() const {
  return prompt_.substr(prompt_.size() - generation_bytes_, generation_bytes_ - opened_bytes_);
}

}  // namespace trireme

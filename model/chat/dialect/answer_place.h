// Where an answer stands in a rendered chat: after the part of the generation prompt that every
// rendered answer shares with it. Used by one thread, while loading.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trireme {

class AnswerPlace {
 public:
  // `prompt` and `plain`: a chat with and without its generation prompt.
  AnswerPlace(std::string prompt, std::string_view plain);

  // Takes a chat with an answer into account, rendered with the tools of `prompt`. False if the
  // answer does not follow the prompt.
  bool add(std::string_view prompt, std::string_view answered);

  // The answer in such a chat; it begins with what a prompt may already have opened.
  std::optional<std::string> answer_in(std::string_view prompt, std::string_view answered) const;

  // Takes the end of header() out of it: what it opens belongs to answers.
  void take_back(size_t bytes) { opened_bytes_ += bytes; }

  // The generation prompt up to the answer, and the rest of it.
  std::string header() const;
  std::string opened() const { return prompt_.substr(prompt_.size() - opened_bytes_); }

 private:
  std::string prompt_;
  size_t generation_bytes_;
  size_t opened_bytes_ = 0;
};

}  // namespace trireme

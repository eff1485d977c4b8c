// Cuts the text of one answer into reasoning, content and tool calls while it is generated. One per
// choice; its owner's thread. A pure function of the pushed texts: however they are split, the
// parts of one kind concatenate to the same. Text that cannot be read as reasoning or as a call is
// content; there are no errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/answer/answer_part.h"

namespace trireme {

struct AnswerFormat;  // how this answer is to be read; made by ChatFormat, const and shared

class AnswerParser {
 public:
  // `call_id_seed`: ids of tool calls are a function of it and of the index of the call.
  AnswerParser(std::shared_ptr<const AnswerFormat> format, uint64_t call_id_seed);
  ~AnswerParser();
  AnswerParser(AnswerParser&&) noexcept;
  AnswerParser& operator=(AnswerParser&&) noexcept;

  // `text`: whole UTF-8 characters. `special`: the text is one special token, which is a marker or
  // is left out unless the request shows special tokens.
  void push(std::string_view text, bool special, std::vector<AnswerPart>& parts);
  // The end of the answer: text that was held back.
  void finish(std::vector<AnswerPart>& parts);

  int32_t num_calls() const;  // complete tool calls so far
  bool in_reasoning() const;  // the next token is reasoning, as far as is known
  bool wants_end() const;     // one_call: the first call is complete

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme

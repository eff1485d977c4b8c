// The text of one answer while it is generated: ids in; text or, of a chat, parts of the answer
// out. Joins the detokenizer, the parser of parts and the search for stop strings, which looks at
// content only. Part of the Engine, one per choice; its thread only. A pure function of the ids, so
// that preemption and recovery need nothing of it. Invariant: text that may begin a stop string or
// a marker is held back until that is known.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine/stop_text.h"
#include "model/chat/answer/answer_parser.h"
#include "model/sampling_params.h"
#include "model/tokenizer/detokenizer.h"

namespace trireme {

// Adds new text to `parts`: to the last one, if it is of the same kind and call.
void append_part(std::vector<AnswerPart>& parts, AnswerPart part);

class AnswerText {
 public:
  // `tokenizer` and `params` outlive the object. `format` null: plain text.
  AnswerText(const Tokenizer& tokenizer,
             const GenerationParams& params,
             std::shared_ptr<const AnswerFormat> format,
             uint64_t call_id_seed);

  // The next id of the answer. Without `may_stop`, a stop string that it completes does not count.
  void add(TokenId id, bool may_stop);
  // An end-of-sequence or stop id, which the text does not show. Text that it releases may complete
  // a stop string.
  void add_silent(TokenId id, bool may_stop);
  // The end of the answer: text that was held back.
  void finish(bool may_stop);

  // A stop string was found, or the one call that was wanted is complete: no id counts after this.
  bool is_over() const { return !found_.stop.empty() || (parser_ && parser_->wants_end()); }
  const std::string& stop_string() const { return found_.stop; }
  int32_t num_calls() const { return parser_ ? parser_->num_calls() : 0; }
  int32_t reasoning_tokens() const { return reasoning_tokens_; }

  // The text and the parts that can be sent since the last call.
  std::string take_text();
  std::vector<AnswerPart> take_parts();

 private:
  void push_plain(TokenId id, bool may_stop);
  void push_part(TokenId id, bool may_stop);
  void take(std::vector<AnswerPart> parts, bool may_stop);
  void release_content();

  const Tokenizer* tokenizer_;
  const GenerationParams* params_;
  Detokenizer detokenizer_;
  std::optional<AnswerParser> parser_;
  StopText stop_text_;
  StopText::Found found_;
  int32_t reasoning_tokens_ = 0;
  std::string text_;
  std::vector<AnswerPart> parts_;
};

}  // namespace trireme

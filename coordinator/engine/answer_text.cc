#include "coordinator/engine/answer_text.h"

#include <utility>

#include "model/tokenizer/tokenizer.h"

namespace trireme {

void append_part(std::vector<AnswerPart>& parts, AnswerPart part) {
  const bool begins = !part.call_id.empty() || !part.name.empty();
  if (!begins && !parts.empty() && parts.back().kind == part.kind &&
      parts.back().call_index == part.call_index) {
    parts.back().text += part.text;
    return;
  }
  if (begins || !part.text.empty()) parts.push_back(std::move(part));
}

AnswerText::AnswerText(const Tokenizer& tokenizer,
                       const GenerationParams& params,
                       std::shared_ptr<const AnswerFormat> format,
                       uint64_t call_id_seed)
    : tokenizer_(&tokenizer),
      params_(&params),
      detokenizer_(tokenizer, params.skip_special_tokens) {
  if (format != nullptr) parser_.emplace(std::move(format), call_id_seed);
}

void AnswerText::add(TokenId id, bool may_stop) {
  if (parser_) {
    push_part(id, may_stop);
  } else {
    push_plain(id, may_stop);
  }
}

static std::span<const std::string> stops_of(const GenerationParams& params, bool may_stop) {
  return may_stop ? std::span<const std::string>(params.stop) : std::span<const std::string>();
}

// A special token that is left out of the text is still searched for stop strings.
void AnswerText::push_plain(TokenId id, bool may_stop) {
  const auto stops = stops_of(*params_, may_stop);
  const bool include = params_->include_stop_in_output;
  if (params_->skip_special_tokens && tokenizer_->is_special(id)) {
    text_ += stop_text_.add_hidden(tokenizer_->piece(id), stops, include, found_);
  } else {
    text_ += stop_text_.add(detokenizer_.push(id), stops, include, found_);
  }
}

void AnswerText::push_part(TokenId id, bool may_stop) {
  const bool reasons = parser_->in_reasoning();
  if (reasons) ++reasoning_tokens_;
  std::vector<AnswerPart> parts;
  if (!params_->skip_special_tokens || !tokenizer_->is_special(id)) {
    const std::string text = detokenizer_.push(id);
    if (!text.empty()) parser_->push(text, false, parts);
    take(std::move(parts), may_stop);
    return;
  }
  const std::string_view piece = tokenizer_->piece(id);
  parser_->push(piece, true, parts);
  const bool left_out = parts.empty() && !reasons && !parser_->in_reasoning();
  take(std::move(parts), may_stop);
  if (!left_out) return;
  append_part(parts_,
              {PartKind::kContent,
               0,
               {},
               {},
               stop_text_.add_hidden(
                   piece, stops_of(*params_, may_stop), params_->include_stop_in_output, found_)});
}

// The parser sees it, because it may be the marker that ends a call.
void AnswerText::add_silent(TokenId id, bool may_stop) {
  if (!parser_ || !tokenizer_->is_special(id)) return;
  std::vector<AnswerPart> parts;
  parser_->push(tokenizer_->piece(id), true, parts);
  take(std::move(parts), may_stop);
}

void AnswerText::take(std::vector<AnswerPart> parts, bool may_stop) {
  const auto stops = stops_of(*params_, may_stop);
  for (AnswerPart& part : parts) {
    if (part.kind == PartKind::kContent) {
      part.text = stop_text_.add(part.text, stops, params_->include_stop_in_output, found_);
    } else {
      release_content();
    }
    append_part(parts_, std::move(part));
    if (!found_.stop.empty()) return;
  }
}

// Content that was held for a stop string: reasoning or a call follows it, or the end.
void AnswerText::release_content() {
  append_part(parts_, {PartKind::kContent, 0, {}, {}, stop_text_.take_rest()});
}

void AnswerText::finish(bool may_stop) {
  if (!parser_) {
    text_ += stop_text_.take_rest();
    text_ += detokenizer_.finish();
    return;
  }
  std::vector<AnswerPart> parts;
  const std::string text = detokenizer_.finish();
  if (!text.empty()) parser_->push(text, false, parts);
  parser_->finish(parts);
  take(std::move(parts), may_stop);
  if (found_.stop.empty()) release_content();
}

std::string AnswerText::take_text() { return std::exchange(text_, {}); }
std::vector<AnswerPart> AnswerText::take_parts() { return std::exchange(parts_, {}); }

}  // namespace trireme

#include "model/tokenizer/detokenizer.h"

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_parts.h"

namespace trireme {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(&tokenizer),
      spaces_to_drop_(tokenizer.parts().decoder.strip_start()),
      skip_special_(skip_special) {}

std::string Detokenizer::push(TokenId id) {
  const TokenizerParts& parts = tokenizer_->parts();
  if (!parts.vocabulary.has(id) || (skip_special_ && parts.vocabulary.is_special(id))) return {};
  std::string bytes(held_, num_held_);
  parts.decoder.append_bytes(parts.decoded_piece(id), first_, bytes);
  first_ = false;
  num_held_ = 0;

  std::string text;
  for (std::string_view rest = bytes; !rest.empty();) {
    const Utf8Step step = utf8_step(rest);
    if (step.incomplete) {
      num_held_ = static_cast<uint8_t>(rest.copy(held_, sizeof held_));
      break;
    }
    const bool dropped =
        spaces_to_drop_ > 0 && step.valid && step.code == parts.decoder.strip_character();
    spaces_to_drop_ = dropped ? spaces_to_drop_ - 1 : 0;
    if (!dropped) text.append(step.valid ? rest.substr(0, step.length) : kReplacementCharacter);
    rest.remove_prefix(step.length);
  }
  return text;
}

std::string Detokenizer::finish() {
  const bool incomplete = num_held_ > 0;
  num_held_ = 0;
  return std::string(incomplete ? kReplacementCharacter : "");
}

}  // namespace trireme

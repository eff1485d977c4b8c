#include "model/tokenizer/tokenizer.h"

#include "model/tokenizer/detokenizer.h"
#include "model/tokenizer/limits.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "model/tokenizer/tokenizer_text.h"

namespace trireme {
namespace {

// One call of encode: the stages from text to ids.
class Encoding {
 public:
  Encoding(const TokenizerParts& parts,
           bool parse_special,
           std::span<const GuardedRange> guarded,
           std::vector<TokenId>& out)
      : parts_(parts), parse_special_(parse_special), guarded_(guarded), out_(out) {}

  Status run(std::string_view text) {
    const TokenAllowed allowed = allowed_outside(guarded_);
    for (const Stretch& stretch : parts_.added.split(text, parse_special_, allowed)) {
      if (stretch.id >= 0) {
        out_.push_back(stretch.id);
        continue;
      }
      const std::string_view plain = text.substr(stretch.begin, stretch.end - stretch.begin);
      ASSIGN_OR_RETURN(std::string part, parts_.normalizer.apply(std::string(plain), scratch_));
      NormalizedGuard guard(
          parts_.normalizer, plain, part, guarded_within(guarded_, stretch.begin, stretch.end));
      RETURN_IF_ERROR(encode_normalized(part, stretch.begin == 0, guard));
    }
    return ok_status();
  }

 private:
  Status encode_normalized(const std::string& text, bool at_start, NormalizedGuard& guard) {
    TokenAllowed allowed;
    if (!guarded_.empty()) {
      allowed = [&guard](size_t begin, size_t end, bool special) {
        return guard.allows(begin, end, special);
      };
    }
    const auto stretches = parts_.added_normalized.split(text, parse_special_, allowed);
    for (const Stretch& stretch : stretches) {
      if (stretch.id >= 0) {
        out_.push_back(stretch.id);
      } else {
        RETURN_IF_ERROR(encode_plain(text.substr(stretch.begin, stretch.end - stretch.begin),
                                     at_start && stretch.begin == 0));
      }
    }
    return ok_status();
  }

  Status encode_plain(std::string text, bool at_start) {
    const PreTokenizer& pre_tokenizer = parts_.pre_tokenizer;
    ASSIGN_OR_RETURN(const Words words, pre_tokenizer.split(std::move(text), at_start, scratch_));
    const BpeModel& model = *parts_.model;
    for (const Words::Word& word : words.words) {
      if (pre_tokenizer.words_are_bytes()) {
        model.encode_bytes(words.view(word), pre_tokenizer.alphabet(), bpe_scratch_, out_);
      } else {
        model.encode_word(words.view(word), bpe_scratch_, out_);
      }
      if (bpe_scratch_.lacks_unknown) return no_token_for(words.view(word));
    }
    return ok_status();
  }

  Status no_token_for(std::string_view word) const {
    return invalid(
        "TRI-TOK-020",
        "a character in \"{}\" has no token, and unk_token \"{}\" is not in the vocabulary "
        "of {}; leave the character out, or send token ids",
        to_utf8_lossy(word.substr(0, 40)),
        parts_.model->options().missing_unknown.value_or("").substr(0, 40),
        to_utf8_lossy(parts_.path));
  }

  const TokenizerParts& parts_;
  const bool parse_special_;
  const std::span<const GuardedRange> guarded_;
  std::vector<TokenId>& out_;
  RegexScratch scratch_;
  BpeScratch bpe_scratch_;
};

StatusOr<std::unique_ptr<const Tokenizer>> make_tokenizer(std::string_view json,
                                                          const std::string& path,
                                                          const TokenizerSettings& settings) {
  auto parts = read_tokenizer(json, path, settings);
  if (!parts.ok()) return in_file(path, parts.status());
  return std::make_unique<const Tokenizer>(std::move(*parts));
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::load_folder(const std::string& dir) {
  const std::string path = dir + "/tokenizer.json";
  ASSIGN_OR_RETURN(const std::string text, read_tokenizer_text(path, kMaxTokenizerFileBytes));
  ASSIGN_OR_RETURN(const TokenizerSettings settings, read_tokenizer_settings(dir));
  return make_tokenizer(text, path, settings);
}

StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::load(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_tokenizer_text(path, kMaxTokenizerFileBytes));
  return make_tokenizer(text, path, {});
}

StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::parse(std::string_view json,
                                                            const TokenizerSettings& settings) {
  return make_tokenizer(json, "the tokenizer", settings);
}

StatusOr<std::vector<TokenId>> Tokenizer::encode(std::string_view text,
                                                 const EncodeOptions& options) const {
  if (text.size() > kMaxTextBytes) {
    return invalid("TRI-TOK-015",
                   "the text has {} bytes; at most {} are supported; shorten it",
                   text.size(),
                   kMaxTextBytes);
  }
  std::string repaired;
  std::span<const GuardedRange> guarded = options.guarded;
  GuardedRange everything;
  if (!is_utf8(text)) {
    text = repaired = to_utf8_lossy(text);
    everything.end = text.size();  // the offsets no longer hold
    if (!guarded.empty()) guarded = {&everything, 1};
  }
  std::vector<TokenId> ids;
  const PostProcessor& post = parts_->post_processor;
  if (options.add_special) ids = post.before;
  const bool parse_special = options.parse_special && !parts_->splits_special_tokens;
  RETURN_IF_ERROR(Encoding(*parts_, parse_special, guarded, ids).run(text));
  if (options.add_special) ids.insert(ids.end(), post.after.begin(), post.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  Detokenizer detokenizer(*this, skip_special);
  std::string text;
  for (const TokenId id : ids) text += detokenizer.push(id);
  return text += detokenizer.finish();
}

std::string_view Tokenizer::piece(TokenId id) const { return parts_->vocabulary.piece(id); }

std::string Tokenizer::bytes_of(TokenId id) const {
  std::string bytes;
  if (parts_->vocabulary.has(id))
    parts_->decoder.append_bytes(parts_->decoded_piece(id), false, bytes);
  return bytes;
}

bool Tokenizer::is_special(TokenId id) const { return parts_->vocabulary.is_special(id); }

std::optional<TokenId> Tokenizer::id_of(std::string_view piece) const {
  return parts_->vocabulary.find(piece);
}

const std::string& Tokenizer::note() const { return parts_->note; }

int Tokenizer::vocabulary_size() const { return parts_->vocabulary.size(); }

}  // namespace trireme

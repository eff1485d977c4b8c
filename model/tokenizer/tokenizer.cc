#include "model/tokenizer/tokenizer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/handle.h"
#include "model/tokenizer/detokenizer.h"
#include "model/tokenizer/limits.h"
#include "model/tokenizer/tokenizer_parts.h"

namespace trireme {
namespace {

StatusOr<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return invalid("TRI-TOK-001",
                   "cannot read {}: {}; a model's folder holds its tokenizer.json",
                   path,
                   error ? error.message() : "it is no file");
  }
  const Handle<std::FILE*, std::fclose> file(std::fopen(path.c_str(), "rb"));
  const auto failed = [&] {
    return invalid("TRI-TOK-001",
                   "cannot read {}: {}; a model's folder holds its tokenizer.json",
                   path,
                   std::strerror(errno));
  };
  if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) return failed();
  const long size = std::ftell(file.get());
  if (size < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) return failed();
  if (static_cast<size_t>(size) > kMaxTokenizerFileBytes) {
    return invalid("TRI-TOK-013",
                   "{} has {} bytes; at most {} are supported",
                   path,
                   size,
                   kMaxTokenizerFileBytes);
  }
  std::string text(size, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get())) return failed();
  return text;
}

// One call of encode: the stages from text to ids.
class Encoding {
 public:
  Encoding(const TokenizerParts& parts, bool parse_special, std::vector<TokenId>& out)
      : parts_(parts), parse_special_(parse_special), out_(out) {}

  Status run(std::string_view text) {
    for (const Stretch& stretch : parts_.added.split(text, parse_special_)) {
      if (stretch.id >= 0) {
        out_.push_back(stretch.id);
        continue;
      }
      std::string part(text.substr(stretch.begin, stretch.end - stretch.begin));
      ASSIGN_OR_RETURN(part, parts_.normalizer.apply(std::move(part), scratch_));
      RETURN_IF_ERROR(encode_normalized(std::move(part), stretch.begin == 0));
    }
    return ok_status();
  }

 private:
  Status encode_normalized(std::string text, bool at_start) {
    const auto stretches = parts_.added_normalized.split(text, parse_special_);
    if (stretches.size() == 1 && stretches[0].id < 0) {
      return encode_plain(std::move(text), at_start);
    }
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
    }
    return ok_status();
  }

  const TokenizerParts& parts_;
  const bool parse_special_;
  std::vector<TokenId>& out_;
  RegexScratch scratch_;
  BpeScratch bpe_scratch_;
};

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::load(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse(text);
}

StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::parse(std::string_view json) {
  ASSIGN_OR_RETURN(auto parts, read_tokenizer(json));
  return std::make_unique<const Tokenizer>(std::move(parts));
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
  if (!is_utf8(text)) text = repaired = to_utf8_lossy(text);
  std::vector<TokenId> ids;
  const PostProcessor& post = parts_->post_processor;
  if (options.add_special) ids = post.before;
  RETURN_IF_ERROR(Encoding(*parts_, options.parse_special, ids).run(text));
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

int Tokenizer::vocabulary_size() const { return parts_->vocabulary.size(); }

}  // namespace trireme

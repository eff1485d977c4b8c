#include "model/tokenizer/bpe_file.h"

#include <algorithm>

namespace trireme {
namespace {

constexpr size_t kMaxAffixBytes = 64;  // of a continuing prefix or an end suffix

// "a b", or ["a", "b"] if a piece contains spaces.
bool read_merge(JsonValue value, std::string& left, std::string& right) {
  left.clear();
  right.clear();
  if (value.is(JsonValue::Kind::kString)) {
    value.append_string(left);
    const size_t space = left.find(' ');
    if (space != std::string::npos && left.find(' ', space + 1) == std::string::npos) {
      right = left.substr(space + 1);
      left.resize(space);
      return true;
    }
  } else if (value.is(JsonValue::Kind::kArray)) {
    int count = 0;
    bool strings = true;
    const Status walked = value.each([&](JsonValue part) {
      strings = strings && part.is(JsonValue::Kind::kString);
      if (strings && count < 2) part.append_string(count == 0 ? left : right);
      ++count;
      return ok_status();
    });
    if (walked.ok() && strings && count == 2) return true;
  }
  return false;
}

// The first line of a merges.txt, which some tools leave in the list; the reference drops each.
bool is_comment(JsonValue value) {
  return value.is(JsonValue::Kind::kString) && value.text().starts_with("\"#version");
}

class MergeReader {
 public:
  MergeReader(const Vocabulary& vocabulary, const std::string& prefix, size_t count)
      : vocabulary_(vocabulary), prefix_(prefix), table_(count) {}

  Status add(JsonValue value) {
    if (is_comment(value)) return ok_status();
    if (!read_merge(value, left_, right_)) {
      return invalid("TRI-TOK-006",
                     "merge {} is malformed; it must be \"LEFT RIGHT\" or [\"LEFT\", \"RIGHT\"]",
                     rank_);
    }
    const TokenId left = vocabulary_.find_in_model(left_);
    const TokenId right = vocabulary_.find_in_model(right_);
    if (!right_.starts_with(prefix_)) {
      return invalid("TRI-TOK-006",
                     "merge {} has the right part \"{}\", which must begin with "
                     "continuing_subword_prefix \"{}\"",
                     rank_,
                     right_.substr(0, 80),
                     prefix_);
    }
    left_.append(right_, prefix_.size());
    const TokenId merged = vocabulary_.find_in_model(left_);
    if (left < 0 || right < 0 || merged < 0) {
      return invalid(
          "TRI-TOK-006",
          "merge {} makes \"{}\", but the two parts and the result are not all in the vocabulary",
          rank_,
          left_.substr(0, 80));
    }
    if (table_.add(left, right, {rank_++, merged})) return ok_status();
    return invalid("TRI-TOK-006", "merge {} is more than the vocabulary has splits", rank_);
  }

  MergeTable take() { return std::move(table_); }

 private:
  const Vocabulary& vocabulary_;
  const std::string& prefix_;
  MergeTable table_;
  int32_t rank_ = 0;
  std::string left_;
  std::string right_;
};

StatusOr<std::string> read_affix(const JsonFields& model, std::string_view name) {
  ASSIGN_OR_RETURN(std::string text, model.string_or(name, ""));
  if (text.size() <= kMaxAffixBytes) return text;
  return invalid("TRI-TOK-016",
                 "model.{} has {} bytes; at most {} are supported",
                 name,
                 text.size(),
                 kMaxAffixBytes);
}

StatusOr<BpeOptions> read_options(const JsonFields& model, const Vocabulary& vocabulary) {
  BpeOptions options;
  ASSIGN_OR_RETURN(options.fuse_unknown, model.boolean_or("fuse_unk", false));
  ASSIGN_OR_RETURN(options.byte_fallback, model.boolean_or("byte_fallback", false));
  ASSIGN_OR_RETURN(options.ignore_merges, model.boolean_or("ignore_merges", false));
  ASSIGN_OR_RETURN(options.continuing_prefix, read_affix(model, "continuing_subword_prefix"));
  ASSIGN_OR_RETURN(options.end_suffix, read_affix(model, "end_of_word_suffix"));
  if (model.find("unk_token")) {
    ASSIGN_OR_RETURN(const std::string unknown, model.string("unk_token"));
    options.unknown = vocabulary.find_in_model(unknown);
    if (options.unknown < 0) options.missing_unknown = unknown;
  }
  if (const JsonValue* dropout = model.find("dropout")) {
    const bool is_zero = dropout->is(JsonValue::Kind::kNumber) && dropout->number() == 0;
    if (!is_zero) {
      return invalid(
          "TRI-TOK-016",
          "model.dropout is set; only models without dropout are supported: set it to null");
    }
  }
  return options;
}

}  // namespace

StatusOr<Vocabulary> read_vocabulary(const JsonFields& model, size_t num_added) {
  ASSIGN_OR_RETURN(const JsonValue vocab, model.at("vocab"));
  if (!vocab.is(JsonValue::Kind::kObject)) {
    return invalid("TRI-TOK-003", "tokenizer field model.vocab must be an object");
  }
  size_t count = 0;
  size_t bytes = 0;
  RETURN_IF_ERROR(vocab.each_member([&](std::string_view piece, JsonValue) {
    ++count;
    bytes += piece.size();
    return ok_status();
  }));
  Vocabulary vocabulary(count + num_added, bytes);
  RETURN_IF_ERROR(vocab.each_member([&](std::string_view piece, JsonValue value) -> Status {
    int64_t id = -1;
    if (!value.is(JsonValue::Kind::kNumber) || !value.integer(id)) {
      return invalid("TRI-TOK-003",
                     "tokenizer field model.vocab[\"{}\"] must be an integer",
                     piece.substr(0, 80));
    }
    return vocabulary.add(piece, id);
  }));
  return vocabulary;
}

StatusOr<std::unique_ptr<const BpeModel>> read_bpe(const JsonFields& model,
                                                   const Vocabulary& vocabulary) {
  ASSIGN_OR_RETURN(BpeOptions options, read_options(model, vocabulary));
  ASSIGN_OR_RETURN(const JsonValue merges, model.at("merges"));
  if (!merges.is(JsonValue::Kind::kArray)) {
    return invalid("TRI-TOK-003", "tokenizer field model.merges must be an array");
  }
  const size_t count = std::min(merges.count(), vocabulary.max_splits());
  MergeReader reader(vocabulary, options.continuing_prefix, count);
  RETURN_IF_ERROR(merges.each([&](JsonValue merge) { return reader.add(merge); }));
  return std::make_unique<const BpeModel>(vocabulary, reader.take(), std::move(options));
}

}  // namespace trireme

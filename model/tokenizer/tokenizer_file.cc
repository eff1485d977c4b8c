#include "model/tokenizer/bpe_file.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

// Limits the cost of each '<' in a text: the bytes compared with added tokens.
constexpr size_t kMaxAddedTokenBytes = 4096;
constexpr size_t kMaxAddedTokenGrowth = 64;  // by the normalizer

StatusOr<AddedToken> read_added_token(JsonValue value, size_t index, int64_t& id) {
  ASSIGN_OR_RETURN(const JsonFields fields,
                   JsonFields::read(value, format_text("added_tokens[{}]", index)));
  AddedToken token;
  ASSIGN_OR_RETURN(id, fields.integer("id"));
  ASSIGN_OR_RETURN(token.content, fields.string("content"));
  ASSIGN_OR_RETURN(token.special, fields.boolean("special"));
  ASSIGN_OR_RETURN(token.single_word, fields.boolean("single_word"));
  ASSIGN_OR_RETURN(token.lstrip, fields.boolean("lstrip"));
  ASSIGN_OR_RETURN(token.rstrip, fields.boolean("rstrip"));
  ASSIGN_OR_RETURN(token.normalized, fields.boolean("normalized"));
  if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes) {
    return invalid("TRI-TOK-007",
                   "added token {} has {} bytes; supported are 1..{}",
                   id,
                   token.content.size(),
                   kMaxAddedTokenBytes);
  }
  return token;
}

Status read_added_tokens(const JsonValue* list, TokenizerParts& parts) {
  if (!list) return ok_status();
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  RegexScratch scratch;
  size_t index = 0;
  RETURN_IF_ERROR(list->each([&](JsonValue value) -> Status {
    int64_t id = -1;
    ASSIGN_OR_RETURN(AddedToken token, read_added_token(value, index++, id));
    RETURN_IF_ERROR(parts.vocabulary.add_added(token.content, id, token.special));
    token.id = static_cast<TokenId>(id);
    if (!token.normalized) return raw.push_back(std::move(token)), ok_status();
    ASSIGN_OR_RETURN(token.content, parts.normalizer.apply(std::move(token.content), scratch));
    const size_t limit = parts.vocabulary.piece(token.id).size() + kMaxAddedTokenGrowth;
    if (token.content.size() > limit) {
      return invalid("TRI-TOK-007",
                     "added token {} grows to {} bytes by the normalizer; supported are {}",
                     id,
                     token.content.size(),
                     limit);
    }
    if (token.content != parts.vocabulary.piece(token.id)) {
      parts.normalized_pieces.emplace(token.id, token.content);
    }
    if (!token.content.empty()) normalized.push_back(std::move(token));
    return ok_status();
  }));
  parts.added = AddedTokenMatcher(std::move(raw));
  parts.added_normalized = AddedTokenMatcher(std::move(normalized));
  return ok_status();
}

// Old files have no type; those with merges hold a BPE model.
Status check_model_type(const JsonFields& model) {
  ASSIGN_OR_RETURN(const std::string type,
                   model.string_or("type", model.find("merges") ? "BPE" : "none"));
  if (type == "BPE") return ok_status();
  return invalid("TRI-TOK-004",
                 "tokenizer model type \"{}\" is not supported; supported is BPE",
                 type.substr(0, 80));
}

}  // namespace

StatusOr<std::unique_ptr<const TokenizerParts>> read_tokenizer(std::string_view json) {
  ASSIGN_OR_RETURN(const JsonValue root, JsonValue::parse(json, "TRI-TOK-002", "the tokenizer"));
  ASSIGN_OR_RETURN(const JsonFields file, JsonFields::read(root, "tokenizer"));
  ASSIGN_OR_RETURN(const JsonValue model_value, file.at("model"));
  ASSIGN_OR_RETURN(const JsonFields model, JsonFields::read(model_value, "model"));
  RETURN_IF_ERROR(check_model_type(model));

  const JsonValue* added = file.find("added_tokens");
  if (added && !added->is(JsonValue::Kind::kArray)) {
    return invalid("TRI-TOK-003", "tokenizer field added_tokens must be an array");
  }
  auto parts = std::make_unique<TokenizerParts>();
  ASSIGN_OR_RETURN(parts->vocabulary, read_vocabulary(model, added ? added->count() : 0));
  ASSIGN_OR_RETURN(parts->model, read_bpe(model, parts->vocabulary));
  if (const JsonValue* value = file.find("normalizer")) {
    ASSIGN_OR_RETURN(parts->normalizer, Normalizer::read(*value));
  }
  RETURN_IF_ERROR(read_added_tokens(added, *parts));
  if (const JsonValue* value = file.find("pre_tokenizer")) {
    ASSIGN_OR_RETURN(parts->pre_tokenizer, PreTokenizer::read(*value));
  }
  if (const JsonValue* value = file.find("post_processor")) {
    ASSIGN_OR_RETURN(parts->post_processor, PostProcessor::read(*value, parts->vocabulary));
  }
  if (const JsonValue* value = file.find("decoder")) {
    ASSIGN_OR_RETURN(parts->decoder, Decoder::read(*value));
  }
  return std::unique_ptr<const TokenizerParts>(std::move(parts));
}

}  // namespace trireme

#include <algorithm>
#include <cstdint>

#include "model/tokenizer/added_token_list.h"
#include "model/tokenizer/bpe_file.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/tokenizer_class.h"
#include "model/tokenizer/tokenizer_class_table.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

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
  if (id < 0 || id > UINT32_MAX) {
    return invalid(
        "TRI-TOK-007", "added token {} has id {}, allowed is 0 to {}", index, id, UINT32_MAX);
  }
  return token;
}

Status add_tokens_of_file(const JsonValue* list, const std::string& path, AddedTokenList& tokens) {
  if (!list) return ok_status();
  size_t index = 0;
  return list->each([&](JsonValue value) -> Status {
    int64_t id = -1;
    ASSIGN_OR_RETURN(AddedToken token, read_added_token(value, index++, id));
    return tokens.add(std::move(token), id, path);
  });
}

// The tokens of tokenizer.json once more, between those of added_tokens.json: in the order of their
// ids, of which each counts once, for the token of tokenizer.json.
Status insert_tokens_of_file(const JsonValue* list, std::vector<NumberedToken>& tokens) {
  if (!list) return ok_status();
  std::vector<NumberedToken> of_file;
  RETURN_IF_ERROR(list->each([&](JsonValue value) -> Status {
    NumberedToken next;
    ASSIGN_OR_RETURN(next.token, read_added_token(value, of_file.size(), next.number));
    of_file.push_back(std::move(next));
    return ok_status();
  }));
  tokens.insert(tokens.begin(),
                std::make_move_iterator(of_file.begin()),
                std::make_move_iterator(of_file.end()));
  std::ranges::stable_sort(tokens, {}, &NumberedToken::number);
  const auto same = [](const NumberedToken& a, const NumberedToken& b) {
    return a.number == b.number;
  };
  tokens.erase(std::unique(tokens.begin(), tokens.end(), same), tokens.end());
  return ok_status();
}

// `named`: tokens that have a name, of the settings or of the class.
Status read_added_tokens(const JsonValue* list,
                         const TokenizerSettings& settings,
                         const std::vector<AddedToken>& named,
                         TokenizerParts& parts) {
  const size_t count = list ? list->count() : 0;
  AddedTokenList tokens(parts, count + named.size() + settings.num_tokens());
  RETURN_IF_ERROR(add_tokens_of_file(list, parts.path, tokens));
  std::vector<NumberedToken> numbered = settings.added;
  if (!settings.has_decoder && !numbered.empty()) {
    RETURN_IF_ERROR(insert_tokens_of_file(list, numbered));
  }
  for (NumberedToken& next : numbered) {
    next.token.special = next.token.special || has_content(named, next.token.content);
    RETURN_IF_ERROR(tokens.add(std::move(next.token), next.number, settings.added_path));
  }
  for (const AddedToken& token : named) {
    if (!tokens.has(token.content)) {
      RETURN_IF_ERROR(tokens.add(token, -1, parts.path));
    } else if (!settings.has_decoder) {
      tokens.make_special(token.content);
    }
  }
  for (const AddedToken& token : settings.extra) {
    if (!tokens.has(token.content)) RETURN_IF_ERROR(tokens.add(token, -1, parts.path));
  }
  parts.note = tokens.note();
  return tokens.finish();
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

// The steps that a text passes before the model, and the added tokens, whose text the normalizer
// changes too.
Status read_steps(const JsonFields& file,
                  const PrefixRule& rule,
                  const TokenizerSettings& settings,
                  const std::vector<AddedToken>& named,
                  TokenizerParts& parts) {
  const JsonValue* normalizer = rule.metaspace.empty() ? file.find("normalizer") : nullptr;
  if (normalizer) {
    ASSIGN_OR_RETURN(parts.normalizer, Normalizer::read(*normalizer));
  }
  RETURN_IF_ERROR(read_added_tokens(file.find("added_tokens"), settings, named, parts));
  if (!rule.metaspace.empty()) {
    ASSIGN_OR_RETURN(const JsonValue value,
                     JsonValue::parse(rule.metaspace, "TRI-TOK-002", "the pre-tokenizer"));
    ASSIGN_OR_RETURN(parts.pre_tokenizer, PreTokenizer::read(value));
  } else if (const JsonValue* value = file.find("pre_tokenizer")) {
    ASSIGN_OR_RETURN(parts.pre_tokenizer, PreTokenizer::read(*value, rule.byte_level));
  }
  return ok_status();
}

Status read_decoder(const JsonFields& file, const PrefixRule& rule, TokenizerParts& parts) {
  if (!rule.decoder.empty()) {
    ASSIGN_OR_RETURN(const JsonValue value,
                     JsonValue::parse(rule.decoder, "TRI-TOK-002", "the decoder"));
    ASSIGN_OR_RETURN(parts.decoder, Decoder::read(value));
  } else if (const JsonValue* value = file.find("decoder")) {
    ASSIGN_OR_RETURN(parts.decoder, Decoder::read(*value));
  }
  return ok_status();
}

}  // namespace

StatusOr<std::unique_ptr<const TokenizerParts>> read_tokenizer(std::string_view json,
                                                               const std::string& path,
                                                               const TokenizerSettings& settings) {
  ASSIGN_OR_RETURN(const JsonValue root, JsonValue::parse(json, "TRI-TOK-002", "the file"));
  ASSIGN_OR_RETURN(const JsonFields file, JsonFields::read(root, "tokenizer"));
  ASSIGN_OR_RETURN(const JsonValue model_value, file.at("model"));
  ASSIGN_OR_RETURN(const JsonFields model, JsonFields::read(model_value, "model"));
  RETURN_IF_ERROR(check_model_type(model));

  const JsonValue* added = file.find("added_tokens");
  if (added && !added->is(JsonValue::Kind::kArray)) {
    return invalid("TRI-TOK-003", "tokenizer field added_tokens must be an array");
  }
  auto parts = std::make_unique<TokenizerParts>();
  parts->path = path;
  const bool is_byte_level = json.find("\"ByteLevel\"") != std::string_view::npos;
  const std::string_view name = tokenizer_class_of(settings, is_byte_level);
  const std::vector<AddedToken> named = named_tokens(settings, name);
  const size_t num_added = (added ? added->count() : 0) + named.size() + settings.num_tokens();
  ASSIGN_OR_RETURN(parts->vocabulary, read_vocabulary(model, num_added));
  ASSIGN_OR_RETURN(parts->model, read_bpe(model, parts->vocabulary));
  ASSIGN_OR_RETURN(const PrefixRule rule, prefix_rule(name, settings, file));
  RETURN_IF_ERROR(read_steps(file, rule, settings, named, *parts));
  if (const JsonValue* value = file.find("post_processor")) {
    ASSIGN_OR_RETURN(parts->post_processor, PostProcessor::read(*value, parts->vocabulary));
  }
  RETURN_IF_ERROR(read_decoder(file, rule, *parts));
  if (!rule.note.empty()) {
    parts->note += format_text("{}{}: {}", parts->note.empty() ? "" : "; ", path, rule.note);
  }
  parts->splits_special_tokens = settings.split_special_tokens;
  return std::unique_ptr<const TokenizerParts>(std::move(parts));
}

}  // namespace trireme

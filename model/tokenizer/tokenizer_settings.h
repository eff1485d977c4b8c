// The files beside a tokenizer.json, read as AutoTokenizer of transformers 5 reads them:
// tokenizer_config.json, special_tokens_map.json, added_tokens.json, and the model type of
// config.json. All are optional. Plain values; used by one thread, while loading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/added_tokens.h"

namespace trireme {

struct NumberedToken {
  int64_t number = -1;  // its id in the file, which is not always the id that it gets
  AddedToken token;
};

struct NamedToken {
  std::string name;
  AddedToken token;
};

inline constexpr std::string_view kNamedTokens[] = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
bool is_named(std::string_view name);  // one of these

AddedToken special_token(std::string content);
bool has_content(const std::vector<AddedToken>& tokens, std::string_view content);

struct TokenizerSettings {
  std::string model_type;       // of config.json, "" if there is none
  std::string tokenizer_class;  // of tokenizer_config.json, else of config.json, "" if none has it
  std::optional<bool> add_prefix_space;  // as Python reads any value as true or false
  bool prefix_is_boolean = true;         // the value is one
  bool legacy_prefix = false;  // `legacy`: LlamaTokenizer prepends a space after each added token
  bool split_special_tokens = false;

  // Tokens that are added after those of tokenizer.json: first these, by number, ...
  std::vector<NumberedToken> added;
  std::string added_path;  // their file
  // ... and without added_tokens_decoder, those of tokenizer.json once more among them.
  bool has_decoder = false;
  // ... then these, unless they are added tokens by then: bos_token and its like, which have a name
  // and are special in any case, and extra tokens.
  std::vector<NamedToken> named;
  std::vector<std::string> nulls;  // names whose token is null, so that a class adds none
  std::vector<AddedToken> extra;

  // Without the named ones.
  size_t num_tokens() const { return added.size() + extra.size(); }
};

// The texts of the files; a null one is absent.
struct SettingsTexts {
  const std::string* tokenizer_config = nullptr;
  const std::string* special_tokens_map = nullptr;
  const std::string* added_tokens = nullptr;
};

// `dir` is the folder of the files, for errors: TRI-TOK-002 (not JSON), TRI-TOK-003 (a field),
// TRI-TOK-013 (too many tokens).
StatusOr<TokenizerSettings> parse_tokenizer_settings(const SettingsTexts& texts,
                                                     const std::string& dir);

// Reads the files of a model's folder. Errors: also TRI-TOK-001.
StatusOr<TokenizerSettings> read_tokenizer_settings(const std::string& dir);

}  // namespace trireme

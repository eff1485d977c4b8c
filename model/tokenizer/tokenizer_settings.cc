#include "model/tokenizer/tokenizer_settings.h"

#include <algorithm>
#include <charconv>

#include "model/file_text.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/tokenizer_class.h"
#include "model/tokenizer/tokenizer_class_table.h"
#include "model/tokenizer/tokenizer_text.h"

namespace trireme {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxSettingsBytes = size_t{16} << 20;  // published files stay under 2 MB
constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxTokens = size_t{1} << 15;  // of added_tokens_decoder; published have 7,000
constexpr size_t kMaxExtra = 4096;              // of a list of extra tokens; published have 1,000
Status wrong(std::string_view name, std::string_view wanted) {
  return invalid("TRI-TOK-003", "tokenizer field {} must be {}", name.substr(0, 80), wanted);
}

// A key of added_tokens_decoder, as int() of Python reads it; negative if it is no id.
int64_t id_of_key(std::string_view key) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const size_t first = key.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return -1;
  key = key.substr(first, key.find_last_not_of(kSpaces) + 1 - first);
  if (key.starts_with('+') && !key.starts_with("+-")) key.remove_prefix(1);
  std::string digits;
  for (size_t i = 0; i < key.size(); ++i) {
    const bool between = i > 0 && i + 1 < key.size() && key[i - 1] != '_';
    if (key[i] != '_' || !between) digits += key[i];
  }
  int64_t number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
}

// {"content": TEXT, "lstrip"?: ...}; flags that are absent have the defaults of the reference.
StatusOr<AddedToken> read_token(JsonValue value, const std::string& where) {
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::read(value, where));
  AddedToken token;
  ASSIGN_OR_RETURN(token.content, fields.string("content"));
  ASSIGN_OR_RETURN(token.special, fields.boolean_or("special", false));
  ASSIGN_OR_RETURN(token.single_word, fields.boolean_or("single_word", false));
  ASSIGN_OR_RETURN(token.lstrip, fields.boolean_or("lstrip", false));
  ASSIGN_OR_RETURN(token.rstrip, fields.boolean_or("rstrip", false));
  ASSIGN_OR_RETURN(token.normalized, fields.boolean_or("normalized", !token.special));
  return token;
}

// A text, which is special, or an object.
StatusOr<AddedToken> read_text_or_token(JsonValue value, const std::string& where) {
  if (value.is(Kind::kString)) return special_token(value.string());
  if (value.is(Kind::kObject)) return read_token(value, where);
  return wrong(where, "a text or an object with \"content\"");
}

StatusOr<JsonValue> read_object(const std::string& text) {
  ASSIGN_OR_RETURN(const JsonValue root,
                   JsonValue::parse(text, "TRI-TOK-002", "the file", JsonNumbers::kPython));
  if (root.is(Kind::kObject)) return root;
  return invalid("TRI-TOK-003", "the file must be an object");
}

using Named = std::vector<NamedToken>;

class Reader {
 public:
  explicit Reader(TokenizerSettings& out) : out_(out) {}

  Status read_config(const std::string& text) {
    ASSIGN_OR_RETURN(const JsonValue root, read_object(text));
    RETURN_IF_ERROR(root.each_member(
        [&](std::string_view name, JsonValue value) { return read_config_field(name, value); }));
    return gather_objects();
  }

  // Its fields replace those of tokenizer_config.json.
  Status read_special_map(const std::string& text) {
    ASSIGN_OR_RETURN(const JsonValue root, read_object(text));
    in_special_map_ = true;
    return root.each_member(
        [&](std::string_view name, JsonValue value) { return read_special(name, value); });
  }

  // {TEXT: ID}. Special are those that have a name or stand among the extra tokens.
  Status read_added_tokens(const std::string& text) {
    ASSIGN_OR_RETURN(const JsonValue root, read_object(text));
    std::vector<AddedToken> known = extra();
    for (const NamedToken& named : named_) known.push_back(named.token);
    return root.each_member([&](std::string_view content, JsonValue value) -> Status {
      const auto number = integral(value);
      if (!number) return wrong(content, "an id");
      AddedToken token;
      token.content = std::string(content);
      token.special = has_content(known, content);
      token.normalized = !token.special;
      return add(*number, std::move(token));
    });
  }

  void finish() {
    std::ranges::stable_sort(out_.added, {}, &NumberedToken::number);
    for (const std::string_view name : kNamedTokens) {
      const auto known = find(named_, name);
      if (known != named_.end()) out_.named.push_back(*known);
    }
    out_.named.insert(out_.named.end(), others_.begin(), others_.end());
    out_.extra = extra();
  }

 private:
  Status read_config_field(std::string_view name, JsonValue value) {
    if (name == "added_tokens_decoder") return read_decoder(value);
    if (value.is(Kind::kNull)) return add_null(name);
    if (name == "tokenizer_class") {
      if (!value.is(Kind::kString)) return wrong(name, "a text");
      out_.tokenizer_class = value.string();
      return ok_status();
    }
    if (name == "add_prefix_space") {
      out_.add_prefix_space = !is_off(value);
      out_.prefix_is_boolean = value.is(Kind::kBoolean);
      return ok_status();
    }
    if (name == "legacy") {
      out_.legacy_prefix = !is_off(value);
      return ok_status();
    }
    if (name == "model_specific_special_tokens") return read_names(name, value, specific_);
    if (name == "split_special_tokens") return read_flag(name, value, out_.split_special_tokens);
    return read_special(name, value);
  }

  static Status read_flag(std::string_view name, JsonValue value, bool& flag) {
    if (!value.is(Kind::kBoolean)) return wrong(name, "true or false");
    flag = value.boolean();
    return ok_status();
  }

  Status read_special(std::string_view name, JsonValue value) {
    if (name == "extra_special_tokens") {
      if (!value.is(Kind::kObject)) return read_list(name, value, extra_);
      return read_names(name, value, in_special_map_ ? others_ : extra_names_);
    }
    if (name == "additional_special_tokens") {
      if (in_special_map_ || !value.is(Kind::kObject)) return read_list(name, value, additional_);
      return read_names(name, value, additional_names_);
    }
    if (value.is(Kind::kNull)) return add_null(name);
    const bool named = is_named(name);
    if (!named && !is_model_token(name, value)) return ok_status();
    ASSIGN_OR_RETURN(AddedToken token, read_text_or_token(value, std::string(name)));
    token.special = true;
    has_names_ = has_names_ || (!named && value.is(Kind::kString));
    return set(named ? named_ : others_, std::string(name), std::move(token));
  }

  // A null in special_tokens_map.json also takes back the token of tokenizer_config.json.
  Status add_null(std::string_view name) {
    if (!name.ends_with("_token")) return ok_status();
    const auto known = find(named_, name);
    if (known != named_.end()) named_.erase(known);
    if (std::find(out_.nulls.begin(), out_.nulls.end(), name) != out_.nulls.end()) {
      return ok_status();
    }
    if (out_.nulls.size() == kMaxNames) return too_many_names();
    out_.nulls.emplace_back(name);
    return ok_status();
  }

  // {NAME: TOKEN}
  Status read_names(std::string_view name, JsonValue value, Named& list) {
    if (!value.is(Kind::kObject)) return wrong(name, "an object");
    return value.each_member([&](std::string_view key, JsonValue item) -> Status {
      ASSIGN_OR_RETURN(AddedToken token, read_text_or_token(item, std::string(key)));
      token.special = true;
      return set(list, std::string(key), std::move(token));
    });
  }

  // The objects of tokens come after tokens that are fields; model_specific_special_tokens counts
  // where there is no other.
  Status gather_objects() {
    if (extra_.empty() && extra_names_.empty()) extra_names_ = additional_names_;
    const bool has_others = has_names_ || !extra_names_.empty();
    for (NamedToken& next : has_others ? extra_names_ : specific_) {
      RETURN_IF_ERROR(set(others_, std::move(next.name), std::move(next.token)));
    }
    return ok_status();
  }

  // image_token and its like.
  bool is_model_token(std::string_view name, JsonValue value) const {
    if (!name.ends_with("_token")) return false;
    if (value.is(Kind::kString)) return true;
    return value.is(Kind::kObject) && (in_special_map_ || value.find("__type"));
  }

  Status read_list(std::string_view name, JsonValue value, std::vector<AddedToken>& list) {
    if (value.is(Kind::kNull)) return ok_status();
    if (!value.is(Kind::kArray)) return wrong(name, "a list of tokens");
    return value.each([&](JsonValue item) -> Status {
      ASSIGN_OR_RETURN(AddedToken token, read_text_or_token(item, std::string(name)));
      if (list.size() == kMaxExtra) return too_many(kMaxExtra);
      list.push_back(std::move(token));
      return ok_status();
    });
  }

  // {"ID": {"content": TEXT, ...}}
  Status read_decoder(JsonValue value) {
    out_.has_decoder = true;
    if (!value.is(Kind::kObject)) return wrong("added_tokens_decoder", "an object");
    out_.added.reserve(std::min(value.count(), kMaxTokens));
    return value.each_member([&](std::string_view key, JsonValue item) -> Status {
      const int64_t number = id_of_key(key);
      if (number < 0) {
        return wrong(format_text("added_tokens_decoder[\"{}\"]", key.substr(0, 40)),
                     "named by an id");
      }
      ASSIGN_OR_RETURN(AddedToken token,
                       read_token(item, format_text("added_tokens_decoder[\"{}\"]", number)));
      return add(number, std::move(token));
    });
  }

  static Status too_many(size_t limit) {
    return invalid("TRI-TOK-013", "a list of tokens is longer than {}", limit);
  }

  Status add(int64_t number, AddedToken token) {
    if (out_.added.size() == kMaxTokens) return too_many(kMaxTokens);
    out_.added.push_back({number, std::move(token)});
    return ok_status();
  }

  static Named::iterator find(Named& list, std::string_view name) {
    return std::find_if(
        list.begin(), list.end(), [&](const NamedToken& item) { return item.name == name; });
  }

  static Status too_many_names() {
    return invalid("TRI-TOK-013", "more than {} tokens have a name", kMaxNames);
  }

  Status set(Named& list, std::string name, AddedToken token) {
    const auto known = find(list, name);
    if (known != list.end()) {
      known->token = std::move(token);
    } else if (list.size() == kMaxNames) {
      return too_many_names();
    } else {
      list.push_back({std::move(name), std::move(token)});
    }
    return ok_status();
  }

  const std::vector<AddedToken>& extra() const { return extra_.empty() ? additional_ : extra_; }

  static constexpr size_t kMaxNames = 256;  // names are searched one by one

  TokenizerSettings& out_;
  bool in_special_map_ = false;
  bool has_names_ = false;              // others_ has a text
  Named named_;                         // bos_token and its like
  Named others_;                        // image_token and its like, in the order of the file
  Named specific_;                      // model_specific_special_tokens
  Named extra_names_;                   // extra_special_tokens that is an object
  Named additional_names_;              // its older name
  std::vector<AddedToken> extra_;       // extra_special_tokens
  std::vector<AddedToken> additional_;  // its older name, which counts where that is empty
};

// Fields of config.json; nothing where it is absent or damaged: its own reader reports that.
void read_model_config(const std::string& dir, TokenizerSettings& settings) {
  const auto text = read_tokenizer_text(dir + "/config.json", kMaxConfigBytes);
  if (!text.ok()) return;
  const auto root = JsonValue::parse(*text, "TRI-TOK-002", "config.json", JsonNumbers::kPython);
  if (!root.ok() || !root->is(Kind::kObject)) return;
  const auto string_of = [&](std::string_view name) {
    const auto value = root->find(name);
    return value && value->is(Kind::kString) ? value->string() : std::string();
  };
  settings.model_type = string_of("model_type");
  if (settings.tokenizer_class.empty()) settings.tokenizer_class = string_of("tokenizer_class");
}

// Reads a file that may be absent; a link that leads nowhere is an error.
StatusOr<std::optional<std::string>> read_optional(const std::string& path) {
  if (!is_there(path)) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::string text, read_tokenizer_text(path, kMaxSettingsBytes));
  return std::optional<std::string>(std::move(text));
}

}  // namespace

bool has_content(const std::vector<AddedToken>& tokens, std::string_view content) {
  return std::ranges::find(tokens, content, &AddedToken::content) != tokens.end();
}

bool is_named(std::string_view name) {
  return std::find(std::begin(kNamedTokens), std::end(kNamedTokens), name) !=
         std::end(kNamedTokens);
}

AddedToken special_token(std::string content) {
  AddedToken token;
  token.content = std::move(content);
  token.special = true;
  return token;
}

StatusOr<TokenizerSettings> parse_tokenizer_settings(const SettingsTexts& texts,
                                                     const std::string& dir) {
  TokenizerSettings settings;
  Reader reader(settings);
  if (texts.tokenizer_config) {
    const std::string path = dir + "/tokenizer_config.json";
    RETURN_IF_ERROR(in_file(path, reader.read_config(*texts.tokenizer_config)));
    settings.added_path = path;
  }
  if (!settings.has_decoder && texts.special_tokens_map) {
    const std::string path = dir + "/special_tokens_map.json";
    RETURN_IF_ERROR(in_file(path, reader.read_special_map(*texts.special_tokens_map)));
  }
  if (!settings.has_decoder && texts.added_tokens) {
    const std::string path = dir + "/added_tokens.json";
    RETURN_IF_ERROR(in_file(path, reader.read_added_tokens(*texts.added_tokens)));
    settings.added_path = path;
  }
  reader.finish();
  return settings;
}

StatusOr<TokenizerSettings> read_tokenizer_settings(const std::string& dir) {
  ASSIGN_OR_RETURN(const auto config, read_optional(dir + "/tokenizer_config.json"));
  ASSIGN_OR_RETURN(const auto special, read_optional(dir + "/special_tokens_map.json"));
  ASSIGN_OR_RETURN(const auto added, read_optional(dir + "/added_tokens.json"));
  SettingsTexts texts;
  if (config) texts.tokenizer_config = &*config;
  if (special) texts.special_tokens_map = &*special;
  if (added) texts.added_tokens = &*added;
  ASSIGN_OR_RETURN(TokenizerSettings settings, parse_tokenizer_settings(texts, dir));
  read_model_config(dir, settings);
  if (!settings.prefix_is_boolean && sets_byte_level(tokenizer_class_of(settings, false))) {
    return in_file(dir + "/tokenizer_config.json", wrong("add_prefix_space", "true or false"));
  }
  return settings;
}

}  // namespace trireme

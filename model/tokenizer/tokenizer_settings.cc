#include "model/tokenizer/tokenizer_settings.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "model/file_text.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/tokenizer_text.h"

namespace trireme {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxSettingsBytes = size_t{16} << 20;  // published files stay under 2 MB
constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxTokens = size_t{1} << 15;  // of added_tokens_decoder; published have 7,000
constexpr size_t kMaxExtra = 4096;              // of a list of extra tokens; published have 1,000
constexpr const char* kNamedTokens[] = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

bool is_named(std::string_view name) {
  return std::any_of(std::begin(kNamedTokens), std::end(kNamedTokens), [&](const char* known) {
    return name == known;
  });
}

Status wrong(std::string_view name, std::string_view wanted) {
  return invalid("TRI-TOK-003", "tokenizer field {} must be {}", name.substr(0, 80), wanted);
}

AddedToken special_token(std::string content) {
  AddedToken token;
  token.content = std::move(content);
  token.special = true;
  return token;
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

class Reader {
 public:
  explicit Reader(TokenizerSettings& out) : out_(out) {}

  Status read_config(const std::string& text) {
    ASSIGN_OR_RETURN(const JsonValue root, read_object(text));
    return root.each_member(
        [&](std::string_view name, JsonValue value) { return read_config_field(name, value); });
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
    std::vector<AddedToken> known = gather_named();
    known.insert(known.end(), extra().begin(), extra().end());
    return root.each_member([&](std::string_view content, JsonValue value) -> Status {
      int64_t number = -1;
      if (!value.is(Kind::kNumber) || !value.integer(number)) return wrong(content, "an id");
      AddedToken token;
      token.content = std::string(content);
      token.special = has(known, content);
      token.normalized = !token.special;
      return add(number, std::move(token));
    });
  }

  void finish() {
    std::stable_sort(
        out_.added.begin(), out_.added.end(), [](const NumberedToken& a, const NumberedToken& b) {
          return a.number < b.number;
        });
    out_.named = gather_named();
    out_.extra = extra();
    for (NumberedToken& next : out_.added) {
      next.token.special = next.token.special || has(out_.named, next.token.content);
    }
  }

 private:
  Status read_config_field(std::string_view name, JsonValue value) {
    if (name == "added_tokens_decoder") return read_decoder(value);
    if (value.is(Kind::kNull)) return ok_status();
    if (name == "tokenizer_class") {
      if (!value.is(Kind::kString)) return wrong(name, "a text");
      out_.tokenizer_class = value.string();
      return ok_status();
    }
    if (name == "add_prefix_space") {
      bool flag = false;
      RETURN_IF_ERROR(read_flag(name, value, flag));
      out_.add_prefix_space = flag;
      return ok_status();
    }
    if (name == "legacy") return read_flag(name, value, out_.legacy_prefix);
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
      return value.each_member([&](std::string_view key, JsonValue item) -> Status {
        ASSIGN_OR_RETURN(AddedToken token, read_text_or_token(item, std::string(key)));
        token.special = true;
        return set(others_, std::string(key), std::move(token));
      });
    }
    if (name == "additional_special_tokens") return read_list(name, value, additional_);
    const bool named = is_named(name);
    if (value.is(Kind::kNull) || (!named && !is_model_token(name, value))) return ok_status();
    ASSIGN_OR_RETURN(AddedToken token, read_text_or_token(value, std::string(name)));
    token.special = true;
    return set(named ? named_ : others_, std::string(name), std::move(token));
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
      int64_t number = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
      if (error != std::errc() || end != key.data() + key.size() || number < 0) {
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

  using Named = std::vector<std::pair<std::string, AddedToken>>;

  Status set(Named& list, std::string name, AddedToken token) {
    const auto known = std::find_if(
        list.begin(), list.end(), [&](const auto& item) { return item.first == name; });
    if (known != list.end()) {
      known->second = std::move(token);
    } else if (list.size() == kMaxNames) {
      return invalid("TRI-TOK-013", "more than {} tokens have a name", kMaxNames);
    } else {
      list.emplace_back(std::move(name), std::move(token));
    }
    return ok_status();
  }

  // In the order in which the reference adds them.
  std::vector<AddedToken> gather_named() const {
    std::vector<AddedToken> tokens;
    for (const char* name : kNamedTokens) {
      for (const auto& [known, token] : named_) {
        if (known == name) tokens.push_back(token);
      }
    }
    for (const auto& [name, token] : others_) tokens.push_back(token);
    return tokens;
  }
  const std::vector<AddedToken>& extra() const { return extra_.empty() ? additional_ : extra_; }

  static bool has(const std::vector<AddedToken>& tokens, std::string_view content) {
    return std::any_of(tokens.begin(), tokens.end(), [&](const AddedToken& token) {
      return token.content == content;
    });
  }

  static constexpr size_t kMaxNames = 256;  // names are searched one by one

  TokenizerSettings& out_;
  bool in_special_map_ = false;
  Named named_;                         // bos_token and its like
  Named others_;                        // image_token and its like, in the order of the file
  std::vector<AddedToken> extra_;       // extra_special_tokens
  std::vector<AddedToken> additional_;  // its older name, which counts where that is empty
};

// "" where config.json is absent or damaged: its own reader reports that.
std::string read_model_type(const std::string& dir) {
  const auto text = read_tokenizer_text(dir + "/config.json", kMaxConfigBytes);
  if (!text.ok()) return "";
  const auto root = JsonValue::parse(*text, "TRI-TOK-002", "config.json", JsonNumbers::kPython);
  if (!root.ok() || !root->is(Kind::kObject)) return "";
  const auto type = root->find("model_type");
  return type && type->is(Kind::kString) ? type->string() : "";
}

// Reads a file that may be absent; a link that leads nowhere is an error.
StatusOr<std::optional<std::string>> read_optional(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !is_broken_link(path)) {
    return std::optional<std::string>();
  }
  ASSIGN_OR_RETURN(std::string text, read_tokenizer_text(path, kMaxSettingsBytes));
  return std::optional<std::string>(std::move(text));
}

}  // namespace

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
  settings.model_type = read_model_type(dir);
  return settings;
}

}  // namespace trireme

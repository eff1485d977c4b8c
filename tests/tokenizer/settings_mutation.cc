#include "tests/tokenizer/settings_mutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_check.h"
#include "model/tokenizer/tokenizer_settings.h"
#include "tests/allocation_peak.h"
#include "tests/json_mutation.h"

namespace trireme {
namespace {

using nlohmann::json;
using ordered = nlohmann::ordered_json;

constexpr size_t kSettingsAllowance = 64 * 1024;

constexpr const char* kTexts[] = {
    R"({"tokenizer_class":"Qwen2Tokenizer","add_prefix_space":false,"add_bos_token":false,
        "added_tokens_decoder":{
          "151643":{"content":"<|endoftext|>","lstrip":false,"normalized":false,"rstrip":false,
                    "single_word":false,"special":true},
          "151657":{"content":"<tool_call>","lstrip":true,"normalized":false,"rstrip":true,
                    "single_word":true,"special":false},
          "9000":{"content":"<x>"}},
        "additional_special_tokens":["<|im_start|>","<|im_end|>"],"bos_token":null,
        "chat_template":"{{ messages }}","eos_token":"<|im_end|>","errors":"replace",
        "model_max_length":131072,"pad_token":"<|endoftext|>","split_special_tokens":false})",
    R"({"tokenizer_class":"LlamaTokenizer","legacy":false,"add_prefix_space":null,
        "bos_token":{"__type":"AddedToken","content":"<s>","lstrip":false,"normalized":true,
                     "rstrip":false,"single_word":false},
        "eos_token":{"__type":"AddedToken","content":"</s>","lstrip":false,"normalized":true,
                     "rstrip":false,"single_word":false},
        "model_max_length":1000000000000000019884624838656,"image_token":"<image>",
        "extra_special_tokens":["<a>",{"content":"<b>","lstrip":true,"special":true}],
        "sp_model_kwargs":{},"clean_up_tokenization_spaces":false})",
    R"({"extra_special_tokens":{"audio_token":"<audio>"},"mask_token":"<mask>",
        "added_tokens_decoder":{},"split_special_tokens":true,"add_prefix_space":true})",
    R"({"model_specific_special_tokens":{"image_token":"<image>","b":{"content":"<b>"}},
        "additional_special_tokens":{"boi_token":"<boi>","eos_token":"<e>"},"legacy":1,
        "unk_token":null,"bos_token":"<s>","extra_special_tokens":[],"audio_token":null})"};

const std::vector<json>& odd_settings() {
  static const std::vector<json> kValues = {nullptr,
                                            true,
                                            false,
                                            -1,
                                            0,
                                            1505,
                                            4294967296,
                                            1e308,
                                            0.5,
                                            "",
                                            "a",
                                            "<x>",
                                            "Qwen2Tokenizer",
                                            json::array(),
                                            json::object(),
                                            json::array({"<y>"}),
                                            json::array({json::array()}),
                                            {{"content", "<z>"}},
                                            {{"1", {{"content", "<z>"}}}},
                                            std::string(5000, 'x')};
  return kValues;
}

bool flag(const ordered& token, const char* name, bool fallback) {
  return token.contains(name) && !token[name].is_null() ? token[name].get<bool>() : fallback;
}

// As bool() of Python.
bool truth_of(const ordered& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get<std::string>().empty();
  return !value.empty();
}

void expect_same_token(const ordered& wanted, bool is_named, const AddedToken& token) {
  if (wanted.is_string()) {
    EXPECT_EQ(token.content, wanted.get<std::string>());
    EXPECT_TRUE(token.special);
    EXPECT_FALSE(token.normalized || token.lstrip || token.rstrip || token.single_word);
    return;
  }
  EXPECT_EQ(token.content, wanted["content"].get<std::string>());
  const bool special = flag(wanted, "special", false);
  EXPECT_EQ(token.special, special || is_named);
  EXPECT_EQ(token.normalized, flag(wanted, "normalized", !special));
  EXPECT_EQ(token.lstrip, flag(wanted, "lstrip", false));
  EXPECT_EQ(token.rstrip, flag(wanted, "rstrip", false));
  EXPECT_EQ(token.single_word, flag(wanted, "single_word", false));
}

void expect_same_added(const ordered& config, const TokenizerSettings& settings) {
  std::vector<std::pair<int64_t, ordered>> wanted;
  if (config.contains("added_tokens_decoder")) {
    for (const auto& [key, token] : config["added_tokens_decoder"].items()) {
      wanted.emplace_back(std::stoll(key), token);
    }
  }
  std::stable_sort(
      wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  ASSERT_EQ(settings.added.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(settings.added[i].number, wanted[i].first);
    expect_same_token(wanted[i].second, false, settings.added[i].token);
  }
}

// image_token and its like in the order of the file, then those of the objects that count.
ordered other_tokens(const ordered& config) {
  ordered tokens = ordered::object();
  bool has_text = false;
  for (const auto& [name, value] : config.items()) {
    const bool typed = value.is_object() && value.contains("__type");
    if (is_named(name) || !name.ends_with("_token") || !(value.is_string() || typed)) continue;
    tokens[name] = value;
    has_text = has_text || value.is_string();
  }
  const auto object = [&](const char* name) {
    return config.contains(name) && config[name].is_object() ? config[name] : ordered::object();
  };
  const bool has_extra =
      config.contains("extra_special_tokens") && !config["extra_special_tokens"].empty();
  ordered objects = object(has_extra ? "extra_special_tokens" : "additional_special_tokens");
  if (!has_text && objects.empty()) objects = object("model_specific_special_tokens");
  for (const auto& [name, token] : objects.items()) tokens[name] = token;
  return tokens;
}

// bos_token and its like in their order, then other names, then extra tokens.
void expect_same_special(const ordered& config, const TokenizerSettings& settings) {
  std::vector<ordered> wanted;
  std::vector<ordered> extra;
  for (const std::string_view view : kNamedTokens) {
    const std::string name(view);
    if (config.contains(name) && !config[name].is_null()) wanted.push_back(config[name]);
  }
  const ordered others = other_tokens(config);
  wanted.insert(wanted.end(), others.begin(), others.end());
  for (const char* name : {"extra_special_tokens", "additional_special_tokens"}) {
    if (extra.empty() && config.contains(name) && config[name].is_array()) {
      extra = config[name].get<std::vector<ordered>>();
    }
  }
  ASSERT_EQ(settings.named.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    expect_same_token(wanted[i], true, settings.named[i].token);
  }
  ASSERT_EQ(settings.extra.size(), extra.size());
  for (size_t i = 0; i < extra.size(); ++i) {
    expect_same_token(extra[i], false, settings.extra[i]);
  }
}

void expect_same_settings(const ordered& config, const TokenizerSettings& settings) {
  const auto text = [&](const char* name) {
    return config.contains(name) && config[name].is_string() ? config[name].get<std::string>() : "";
  };
  EXPECT_EQ(settings.tokenizer_class, text("tokenizer_class"));
  const bool has_prefix =
      config.contains("add_prefix_space") && !config["add_prefix_space"].is_null();
  EXPECT_EQ(settings.add_prefix_space.has_value(), has_prefix);
  if (has_prefix) {
    EXPECT_EQ(settings.add_prefix_space, truth_of(config["add_prefix_space"]));
    EXPECT_EQ(settings.prefix_is_boolean, config["add_prefix_space"].is_boolean());
  }
  EXPECT_EQ(settings.legacy_prefix, config.contains("legacy") && truth_of(config["legacy"]));
  EXPECT_EQ(settings.split_special_tokens, flag(config, "split_special_tokens", false));
  expect_same_added(config, settings);
  expect_same_special(config, settings);
}

}  // namespace

bool check_settings(const std::string& text) {
  const AllocationPeak peak;
  SettingsTexts texts;
  texts.tokenizer_config = &text;
  const auto settings = parse_tokenizer_settings(texts, "model");
  EXPECT_LE(peak.bytes() + text.size(), 4 * text.size() + kSettingsAllowance)
      << text.substr(0, 200);
  if (!settings.ok()) {
    EXPECT_EQ(error_id(settings.status()).substr(0, 8), "TRI-TOK-");
    EXPECT_NE(message_of(settings.status()).find("model/tokenizer_config.json"), std::string::npos);
    return false;
  }
  const ordered config = ordered::parse(text, nullptr, false);
  // The independent parser knows neither the words nor the range of Python's numbers.
  const bool standard = check_json(text, "TRI-TOK-020", "tokenizer_config.json").ok();
  EXPECT_EQ(config.is_discarded(), !standard) << "read what is no JSON";
  if (standard) expect_same_settings(config, *settings);
  return true;
}

SettingsCounts mutate_settings(int64_t count, uint64_t seed) {
  for (const char* text : kTexts) EXPECT_TRUE(check_settings(text));
  SettingsCounts counts;
  for (int64_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", mutation " << i);
    Random random(seed * 1'000'003 + static_cast<uint64_t>(i));
    const std::string whole = kTexts[below(random, std::size(kTexts))];
    const std::string text = mutate_text(whole, odd_settings(), random);
    ++(check_settings(text) ? counts.read : counts.refused);
  }
  return counts;
}

}  // namespace trireme

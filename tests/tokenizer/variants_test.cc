// Fields of tokenizer.json that the reference tokenizers do not use, each added to one of them: ids
// and text equal those of the reference library (tests/data/tokenizer_variants).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace variants_test {

using nlohmann::json;
using Ids = std::vector<TokenId>;

std::string changed_file(const json& variant) {
  const std::string base = variant["base"];
  std::ifstream file(std::string(TRIREME_TEST_DATA) + "/golden/tokenizers/" + base +
                     "/tokenizer.json");
  json tokenizer = json::parse(file);
  for (const auto& [name, value] : variant["change"].items()) {
    if (name == "model") {
      tokenizer["model"].update(value);
    } else {
      tokenizer[name] = value;
    }
  }
  return tokenizer.dump();
}

void check_variant(const json& variant) {
  const auto loaded = Tokenizer::parse(changed_file(variant));
  ASSERT_TRUE(loaded.ok()) << message_of(loaded.status());
  const Tokenizer& tokenizer = **loaded;
  for (const json& item : variant["cases"]) {
    const std::string text = item["text"];
    const Ids ids = item["ids"];
    const Ids special = item.value("ids_special", ids);
    const auto plain = tokenizer.encode(text, {.add_special = false, .parse_special = false});
    const auto encoded = tokenizer.encode(text, {.add_special = false});
    ASSERT_TRUE(encoded.ok()) << message_of(encoded.status());
    EXPECT_EQ(*encoded, ids) << item["text"];
    EXPECT_EQ(*tokenizer.encode(text), special) << item["text"];
    EXPECT_EQ(*plain, item.value("ids_plain", ids)) << item["text"];
    const std::string decoded = item.value("decoded", text);
    EXPECT_EQ(tokenizer.decode(special, false), decoded) << item["text"];
    EXPECT_EQ(tokenizer.decode(special, true), item.value("decoded_skip_special", decoded))
        << item["text"];
  }
}

TEST(TokenizerVariants, EncodeAndDecodeLikeTheReference) {
  std::ifstream file(std::string(TRIREME_TEST_DATA) + "/tokenizer_variants/variants.jsonl");
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const json variant = json::parse(line);
    SCOPED_TRACE(variant["name"].get<std::string>());
    check_variant(variant);
  }
  EXPECT_GE(count, 50);
}

}  // namespace variants_test
}  // namespace trireme

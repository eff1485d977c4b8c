#include "tests/tokenizer/tokenizer_mutation.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "tests/allocation_peak.h"
#include "tests/json_mutation.h"

namespace trireme {
namespace {

using nlohmann::json;

// Memory of a reader that does not depend on the file: tables of 256 bytes, the fields of one
// object.
constexpr size_t kFixedAllowance = 64 * 1024;
constexpr size_t kSmallVocabulary = 300;

const std::vector<json>& odd_values() {
  static const std::vector<json> kValues = {nullptr,
                                            true,
                                            false,
                                            -1,
                                            0,
                                            1,
                                            299,
                                            1500,
                                            2147483648,
                                            9223372036854775807,
                                            1e308,
                                            0.5,
                                            "",
                                            "a",
                                            "\u2581",
                                            "A",
                                            "BPE",
                                            "Sequence",
                                            "Unigram",
                                            "(a+)+$",
                                            "[",
                                            "\\p{Nope}",
                                            json::array(),
                                            json::object(),
                                            json::array({json::array()}),
                                            std::string(70000, 'x')};
  return kValues;
}

// Half of the changes are outside of `model`, whose vocabulary is most of the file.
std::string mutate_tree(const json& original, Random& random) {
  json root = original;
  json* top = &root;
  if (random() % 2) {
    auto entry = root.begin();
    std::advance(entry, below(random, root.size()));
    if (entry.key() != "model") top = &*entry;
  }
  mutate_node(*top, odd_values(), random);
  return root.dump();
}

std::pair<std::string, std::string> merge_parts(const json& merge) {
  if (merge.is_array()) return {merge[0], merge[1]};
  const std::string text = merge;
  const size_t space = text.find(' ');
  return {text.substr(0, space), text.substr(space + 1)};
}

void expect_same_model(const json& model, const TokenizerParts& parts) {
  const Vocabulary& vocabulary = parts.vocabulary;
  size_t in_model = 0;
  for (TokenId id = 0; id < vocabulary.size(); ++id) in_model += vocabulary.in_model(id);
  EXPECT_EQ(in_model, model["vocab"].size());
  for (const auto& [piece, id] : model["vocab"].items()) {
    EXPECT_EQ(vocabulary.find_in_model(piece), id.get<int64_t>());
    EXPECT_EQ(vocabulary.piece(id), piece);
  }
  std::map<std::pair<std::string, std::string>, int> ranks;
  int rank_of_next = 0;
  for (const json& merge : model["merges"]) {
    const bool is_comment = merge.is_string() && merge.get<std::string>().starts_with("#version");
    if (!is_comment) ranks[merge_parts(merge)] = rank_of_next++;
  }
  EXPECT_EQ(parts.model->merges().size(), ranks.size());
  const json prefix_field = model.value("continuing_subword_prefix", json());
  const std::string prefix = prefix_field.is_null() ? "" : prefix_field.get<std::string>();
  for (const auto& [pair, rank] : ranks) {
    const Merge merge = parts.model->merges().find(vocabulary.find_in_model(pair.first),
                                                   vocabulary.find_in_model(pair.second));
    EXPECT_EQ(merge.rank, rank);
    EXPECT_EQ(vocabulary.piece(merge.merged), pair.first + pair.second.substr(prefix.size()));
  }
  const BpeOptions& options = parts.model->options();
  const auto flag = [&](const char* name) {
    return model.contains(name) && !model[name].is_null() && model[name].get<bool>();
  };
  EXPECT_EQ(options.byte_fallback, flag("byte_fallback"));
  EXPECT_EQ(options.fuse_unknown, flag("fuse_unk"));
  EXPECT_EQ(options.ignore_merges, flag("ignore_merges"));
}

// The added tokens as the reference adds them: by content, the last flags count, and new ones are
// counted on from the vocabulary whatever id the file states.
std::map<TokenId, json> reference_added(const json& file) {
  const json& vocab = file["model"]["vocab"];
  std::map<std::string, TokenId> ids;
  std::map<TokenId, json> tokens;
  TokenId last = -1;
  for (json token : file.value("added_tokens", json())) {
    const std::string content = token["content"];
    if (content.empty()) continue;
    const auto known = vocab.find(content);
    const TokenId next = std::max<TokenId>(last + 1, static_cast<TokenId>(vocab.size()));
    const TokenId id =
        ids.try_emplace(content, known == vocab.end() ? next : known->get<TokenId>()).first->second;
    last = std::max(last, id);
    if (tokens.contains(id) && tokens[id]["special"] == true) token["special"] = true;
    tokens[id] = token;
  }
  return tokens;
}

void expect_same_added(const json& file, const TokenizerParts& parts) {
  size_t num_added = 0;
  for (TokenId id = 0; id < parts.vocabulary.size(); ++id)
    num_added += parts.vocabulary.is_added(id);
  const std::map<TokenId, json> wanted_tokens = reference_added(file);
  EXPECT_EQ(num_added, wanted_tokens.size());
  std::map<TokenId, const AddedToken*> found;
  for (const auto* matcher : {&parts.added, &parts.added_normalized}) {
    for (const AddedToken& token : matcher->tokens()) found[token.id] = &token;
  }
  for (const auto& [id, wanted] : wanted_tokens) {
    EXPECT_EQ(parts.vocabulary.piece(id), wanted["content"].get<std::string>());
    EXPECT_EQ(parts.vocabulary.is_special(id), wanted["special"].get<bool>());
    const AddedToken* token = found[id];
    if (!token) continue;  // its normalised form is empty
    EXPECT_EQ(token->special, wanted["special"].get<bool>());
    EXPECT_EQ(token->lstrip, wanted["lstrip"].get<bool>());
    EXPECT_EQ(token->rstrip, wanted["rstrip"].get<bool>());
    EXPECT_EQ(token->single_word, wanted["single_word"].get<bool>());
    EXPECT_EQ(token->normalized, wanted["normalized"].get<bool>());
  }
}

void expect_usable(const Tokenizer& tokenizer) {
  const auto ids = tokenizer.encode(" The ship's 3 \n<s> caf\xC3\xA9 [INST] longboat \xFF ab  ");
  if (!ids.ok()) {
    EXPECT_EQ(error_id(ids.status()).substr(0, 8), "TRI-TOK-");
    return;
  }
  for (const TokenId id : *ids) EXPECT_TRUE(tokenizer.parts().vocabulary.has(id)) << id;
  tokenizer.decode(*ids, false);
}

// True if the text was accepted.
bool check_text(const std::string& text) {
  const AllocationPeak peak;
  const auto tokenizer = Tokenizer::parse(text);
  EXPECT_LE(peak.bytes() + text.size(), 4 * text.size() + kFixedAllowance) << text.substr(0, 200);
  if (!tokenizer.ok()) {
    EXPECT_EQ(error_id(tokenizer.status()).substr(0, 8), "TRI-TOK-");
    return false;
  }
  const json file = json::parse(text, nullptr, false);
  EXPECT_FALSE(file.is_discarded()) << "read what is no JSON";
  if (file.is_discarded()) return true;
  expect_same_model(file["model"], (*tokenizer)->parts());
  expect_same_added(file, (*tokenizer)->parts());
  expect_usable(**tokenizer);
  return true;
}

}  // namespace

std::string small_tokenizer(const std::string& style) {
  std::ifstream stream(std::string(TRIREME_TEST_DATA) + "/golden/tokenizers/" + style +
                       "/tokenizer.json");
  json file = json::parse(stream);
  json& model = file["model"];
  json vocab = json::object();
  for (const auto& [piece, id] : model["vocab"].items()) {
    if (id.get<size_t>() < kSmallVocabulary) vocab[piece] = id;
  }
  json merges = json::array();
  for (const json& merge : model["merges"]) {
    const auto [left, right] = merge_parts(merge);
    if (vocab.contains(left) && vocab.contains(right) && vocab.contains(left + right)) {
      merges.push_back(merge);
    }
  }
  model["vocab"] = vocab;
  model["merges"] = merges;
  // Added tokens are counted on from fewer tokens of the model; so are those of the template.
  for (const auto& [id, token] : reference_added(file)) {
    for (const std::string place : {"/post_processor", "/post_processor/processors/1"}) {
      const json::json_pointer ids(place + "/special_tokens/" +
                                   token["content"].get<std::string>() + "/ids");
      if (file.contains(ids)) file[ids] = json::array({id});
    }
  }
  return file.dump();
}

MutationCounts run_mutations(int64_t count, uint64_t seed) {
  const std::vector<std::string> styles = {
      "gpt2-style", "llama2-style", "llama3-style", "metaspace-style", "qwen2-style"};
  std::vector<std::string> texts;
  std::vector<json> trees;
  for (const std::string& style : styles) {
    texts.push_back(small_tokenizer(style));
    trees.push_back(json::parse(texts.back()));
    EXPECT_TRUE(check_text(texts.back())) << style;
  }
  MutationCounts counts;
  for (int64_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", mutation " << i);
    Random random(seed * 1'000'003 + i);
    const size_t style = below(random, styles.size());
    const std::string text =
        random() % 2 ? mutate_bytes(texts[style], random) : mutate_tree(trees[style], random);
    ++(check_text(text) ? counts.read : counts.refused);
  }
  return counts;
}

}  // namespace trireme

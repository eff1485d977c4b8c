// The files beside a tokenizer.json: ids and text equal those of AutoTokenizer
// (tests/data/tokenizer_folders), and every error names its file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace folder_test {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
using Ids = std::vector<TokenId>;

const std::string kGolden = std::string(TRIREME_TEST_DATA) + "/golden/tokenizers/";

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/folder_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    clear();
  }
  void TearDown() override { fs::remove_all(dir_); }

  void clear() {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void copy(const std::string& style) {
    fs::copy_file(kGolden + style + "/tokenizer.json", dir_ + "/tokenizer.json");
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
  }
  // Expects that the folder is refused with this id and a message that names the file.
  void expect_refused(const std::string& id, const std::string& name) const {
    const auto tokenizer = Tokenizer::load_folder(dir_);
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(error_id(tokenizer.status()), id) << message_of(tokenizer.status());
    EXPECT_NE(message_of(tokenizer.status()).find(dir_ + "/" + name), std::string::npos)
        << message_of(tokenizer.status());
  }

  std::string dir_;
};

void check_cases(const Tokenizer& tokenizer, const json& cases) {
  for (const json& item : cases) {
    const std::string text = item["text"];
    const Ids ids = item["ids"];
    const Ids special = item.value("ids_special", ids);
    EXPECT_EQ(*tokenizer.encode(text, {.add_special = false}), ids) << text;
    EXPECT_EQ(*tokenizer.encode(text), special) << text;
    const std::string decoded = item["decoded"];
    EXPECT_EQ(tokenizer.decode(special, false), decoded);
    EXPECT_EQ(tokenizer.decode(special, true), item.value("decoded_skip_special", decoded));
  }
}

TEST_F(Folder, EncodesAndDecodesAsAutoTokenizerDoes) {
  std::ifstream file(std::string(TRIREME_TEST_DATA) + "/tokenizer_folders/folders.jsonl");
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const json folder = json::parse(line);
    SCOPED_TRACE(folder["name"].get<std::string>() + " of " + folder["base"].get<std::string>());
    clear();
    copy(folder["base"]);
    for (const auto& [name, content] : folder["files"].items()) write(name, content.dump());
    const auto tokenizer = Tokenizer::load_folder(dir_);
    ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer.status());
    check_cases(**tokenizer, folder["cases"]);
  }
  EXPECT_GE(count, 180);
}

TEST_F(Folder, AFileAloneIsReadWithoutThoseBesideIt) {
  copy("qwen2-style");
  write("tokenizer_config.json", R"({"eos_token":"<x>"})");
  EXPECT_EQ((*Tokenizer::load_folder(dir_))->id_of("<x>"), 1505);
  EXPECT_FALSE((*Tokenizer::load(dir_ + "/tokenizer.json"))->id_of("<x>").has_value());
}

TEST_F(Folder, NamesATokenWhoseIdIsNotTheStatedOne) {
  copy("qwen2-style");
  write("tokenizer_config.json", R"({"added_tokens_decoder":{"1505":{"content":"<x>"}}})");
  EXPECT_EQ((*Tokenizer::load_folder(dir_))->note(), "");
  write("tokenizer_config.json", R"({"added_tokens_decoder":{"1600":{"content":"<x>"}}})");
  const std::string note = (*Tokenizer::load_folder(dir_))->note();
  EXPECT_NE(note.find(dir_ + "/tokenizer_config.json"), std::string::npos) << note;
  EXPECT_NE(note.find("1600"), std::string::npos) << note;
  EXPECT_NE(note.find("1505"), std::string::npos) << note;
}

TEST_F(Folder, NamesAClassThatWouldSplitTextsInItsOwnWay) {
  const std::tuple<const char*, const char*, bool> folders[] = {
      {"qwen2-style", R"({"tokenizer_class":"Qwen2Tokenizer"})", false},
      {"gpt2-style", R"({"tokenizer_class":"GPT2Tokenizer"})", false},
      {"llama3-style", R"({"tokenizer_class":"PreTrainedTokenizerFast"})", false},
      {"llama3-style", R"({"tokenizer_class":"LlamaTokenizer"})", false},
      {"llama2-style", R"({"tokenizer_class":"LlamaTokenizer"})", false},
      {"llama3-style", R"({"tokenizer_class":"CodeLlamaTokenizer"})", true},
      {"llama3-style", R"({"tokenizer_class":"GPTNeoXTokenizer"})", true},
      {"qwen2-style", R"({"tokenizer_class":"CohereTokenizer"})", true},
      {"qwen2-style", R"({"tokenizer_class":"CodeGenTokenizer"})", true},
      {"qwen2-style", R"({"tokenizer_class":"Qwen3_5Tokenizer"})", true},
      {"qwen2-style", R"({"tokenizer_class":"BartTokenizer"})", true},
      {"qwen2-style", R"({"tokenizer_class":"GemmaTokenizer"})", true},
      {"llama3-style", R"({"tokenizer_class":"Qwen2TokenizerFast"})", true},
      {"qwen2-style", R"({"tokenizer_class":"GPT2Tokenizer"})", true}};
  for (const auto& [style, config, has_note] : folders) {
    clear();
    copy(style);
    write("tokenizer_config.json", config);
    const std::string note = (*Tokenizer::load_folder(dir_))->note();
    EXPECT_EQ(note.find("splits texts differently") != std::string::npos, has_note)
        << style << config;
  }
}

TEST_F(Folder, NamesTheClassOfAModelTypeToo) {
  for (const auto& [type, has_note] : {std::pair{"starcoder2", true}, {"qwen3", false}}) {
    clear();
    copy("qwen2-style");
    write("config.json", json{{"model_type", type}}.dump());
    const std::string note = (*Tokenizer::load_folder(dir_))->note();
    EXPECT_EQ(note.find("GPT2Tokenizer") != std::string::npos, has_note) << type;
  }
}

TEST_F(Folder, RefusesEachBrokenFieldAndNamesTheFile) {
  copy("qwen2-style");
  for (const char* text : {R"({"added_tokens_decoder":null})",
                           R"({"added_tokens_decoder":[]})",
                           R"({"added_tokens_decoder":{"x":{"content":"a"}}})",
                           R"({"added_tokens_decoder":{"1__5":{"content":"a"}}})",
                           R"({"added_tokens_decoder":{"":{"content":"a"}}})",
                           R"({"added_tokens_decoder":{"-1":{"content":"a"}}})",
                           R"({"added_tokens_decoder":{"1":"a"}})",
                           R"({"added_tokens_decoder":{"1":{}}})",
                           R"({"added_tokens_decoder":{"1":{"content":"a","special":1}}})",
                           R"({"add_prefix_space":1,"tokenizer_class":"GPT2Tokenizer"})",
                           R"({"split_special_tokens":1})",
                           R"({"tokenizer_class":[]})",
                           R"({"bos_token":3})",
                           R"({"additional_special_tokens":"<x>"})",
                           R"({"extra_special_tokens":[1]})",
                           R"({"model_specific_special_tokens":["<x>"]})",
                           R"({"model_specific_special_tokens":{"a":1}})",
                           "[]"}) {
    SCOPED_TRACE(text);
    write("tokenizer_config.json", text);
    expect_refused("TRI-TOK-003", "tokenizer_config.json");
  }
  write("tokenizer_config.json", "{}");
  for (const char* text : {R"({"<x>":"1"})", R"({"<x>":1505.5})", R"({"<x>":1e300})"}) {
    write("added_tokens.json", text);
    expect_refused("TRI-TOK-003", "added_tokens.json");
  }
  write("special_tokens_map.json", R"({"eos_token":3})");
  expect_refused("TRI-TOK-003", "special_tokens_map.json");
}

TEST_F(Folder, NamesAFileThatIsNoTextOfJson) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  const std::string bom = "\xEF\xBB\xBF{}";
  for (const std::string name : {"tokenizer.json", "tokenizer_config.json"}) {
    for (const std::string& text : {std::string(), std::string("{"), pointer, bom}) {
      SCOPED_TRACE(name + ": " + text);
      clear();
      copy("qwen2-style");
      write(name, text);
      expect_refused("TRI-TOK-002", name);
    }
    clear();
    copy("qwen2-style");
    fs::remove(dir_ + "/" + name);
    fs::create_directory(dir_ + "/" + name);
    expect_refused("TRI-TOK-001", name);
    fs::remove(dir_ + "/" + name);
    fs::create_symlink("nowhere.json", dir_ + "/" + name);
    expect_refused("TRI-TOK-001", name);
  }
}

TEST_F(Folder, EveryErrorOfTokenizerJsonNamesTheFile) {
  for (const char* field : {"model", "added_tokens", "normalizer", "pre_tokenizer", "decoder"}) {
    SCOPED_TRACE(field);
    std::ifstream stream(kGolden + "qwen2-style/tokenizer.json");
    json file = json::parse(stream);
    file[field] = 3;
    write("tokenizer.json", file.dump());
    expect_refused("TRI-TOK-003", "tokenizer.json");
  }
}

}  // namespace folder_test
}  // namespace trireme

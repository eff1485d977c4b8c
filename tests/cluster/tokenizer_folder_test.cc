// The tokenizer files of a model's folder, from the command line to the door: every reader gives
// the same ids, a folder without tokenizer.json takes ids and says what it has, and a stop string
// that is a special token ends an answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace tokenizer_folder_test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// The demo model in a folder whose tokenizer files the test chooses.
class ModelFolder {
 public:
  ModelFolder() {
    for (const char* name : {"config.json", "generation_config.json", "model.safetensors"}) {
      fs::create_symlink(std::string(kDemo) + "/" + name, path() + "/" + name);
    }
  }
  std::string path() const { return folder_.path(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path() + "/" + name, std::ios::binary) << text;
  }
  void copy_tokenizer() const {
    fs::copy_file(std::string(kDemo) + "/tokenizer.json", path() + "/tokenizer.json");
  }

 private:
  TemporaryFolder folder_;
};

std::vector<int> ids_of(const std::vector<std::string>& source, const std::string& text) {
  std::vector<std::string> arguments = {"tokenize", "--json", "--special", "--text", text};
  arguments.insert(arguments.end(), source.begin(), source.end());
  const CommandResult result = run_trireme(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  return json::parse(result.out)["ids"].get<std::vector<int>>();
}

TEST(TokenizerFolder, TokenizeAndTheClusterApplyTheFilesBesideTokenizerJson) {
  const ModelFolder model;
  model.copy_tokenizer();
  model.write("tokenizer_config.json",
              R"({"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": true})");
  const std::string text = "v=1;";
  const std::vector<int> ids = ids_of({"--model", model.path()}, text);
  EXPECT_NE(ids, ids_of({"--tokenizer", model.path() + "/tokenizer.json"}, text));
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  std::ofstream(path) << json{{"prompt", text}, {"max_tokens", 1}, {"prompt_logprobs", 0}}.dump()
                      << "\n";
  const CommandResult result =
      run_trireme({"run", "--model", model.path(), "--prompts", path, "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const json scored = json_lines(result.out).at(0)["prompt_logprobs"];
  ASSERT_EQ(scored.size(), ids.size());
  for (size_t i = 1; i < ids.size(); ++i) EXPECT_EQ(scored[i]["token_id"], ids[i]) << i;
}

TEST(TokenizerFolder, LinesOfTokenizeAndDetokenizeAreReadAsThoseOfRun) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/lines.jsonl";
  const auto answer = [&](const char* verb, const char* line) {
    std::ofstream(path) << line << "\n";
    return run_trireme({verb, "--model", kDemo, "--jsonl", path});
  };
  EXPECT_THAT(answer("tokenize", R"({"text": "\ud800"})").err,
              HasSubstr("line 1: the line is not JSON at byte"));
  EXPECT_THAT(answer("tokenize", R"({"text": "\ud800"})").err,
              HasSubstr("half of a surrogate pair; write one JSON object"));
  EXPECT_EQ(answer("detokenize", R"({"ids": [5.0, 6]})").out,
            answer("detokenize", R"({"ids": [5, 6]})").out);
  EXPECT_THAT(answer("detokenize", R"({"ids": [1e400]})").err, HasSubstr("allowed are ids from 0"));
}

TEST(TokenizerFolder, AStopStringThatIsASpecialTokenEndsTheAnswer) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  std::ofstream file(path);
  for (const char* stop : {"<|im_end|>", "<|im_end|>\\n", "nowhere"}) {
    file << R"({"prompt": "A vector is", "max_tokens": 8, "temperature": 0, "ignore_eos": true,)"
         << R"( "logit_bias": {"2": 100}, "stop": [")" << stop << "\"]}\n";
  }
  file.close();
  const CommandResult result = run_trireme({"run", "--model", kDemo, "--prompts", path, "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 3u) << result.out;
  EXPECT_EQ(lines[0]["token_ids"], json::array({2}));
  EXPECT_EQ(lines[0]["text"], "");
  EXPECT_EQ(lines[0]["finish_reason"], "stop");
  EXPECT_EQ(lines[0]["stop_reason"], "<|im_end|>");
  for (const size_t other : {1, 2}) {
    EXPECT_EQ(lines[other]["finish_reason"], "length");
    EXPECT_EQ(lines[other]["token_ids"].size(), 8u);
  }
}

TEST(TokenizerFolder, AFolderWithoutTokenizerJsonSaysWhatItHasAndTakesIds) {
  TemporaryFolder folder;
  const std::string ids = folder.path() + "/ids.jsonl";
  std::ofstream(ids) << R"({"token_ids": [1, 300, 400], "max_tokens": 2})"
                     << "\n";
  const std::pair<std::vector<std::string>, std::string> folders[] = {
      {{"tokenizer.model"}, "tokenizer.model is not read"},
      {{"vocab.json", "merges.txt"}, "vocab.json, merges.txt are not read"},
      {{"tekken.json"}, "tekken.json is not read"}};
  for (const auto& [names, words] : folders) {
    const ModelFolder model;
    for (const std::string& name : names) model.write(name, "{}");
    const CommandResult text = run_trireme({"run", "--model", model.path(), "--prompt", "hi"});
    EXPECT_EQ(text.status, 2);
    EXPECT_THAT(text.err,
                AllOf(StartsWith("TRI-RUN-025: "),
                      HasSubstr(words),
                      HasSubstr("AutoTokenizer"),
                      HasSubstr("save_pretrained")));
    const CommandResult tokenized = run_trireme({"tokenize", "--model", model.path(), "hi"});
    EXPECT_EQ(tokenized.status, 2);
    EXPECT_THAT(tokenized.err, AllOf(StartsWith("TRI-RUN-012: "), HasSubstr(words)));
  }
  const ModelFolder dangling;
  fs::create_symlink("nowhere.json", dangling.path() + "/tokenizer.json");
  const CommandResult text = run_trireme({"run", "--model", dangling.path(), "--prompt", "hi"});
  EXPECT_THAT(text.err,
              AllOf(StartsWith("TRI-RUN-025: "),
                    HasSubstr("tokenizer.json is a link that leads nowhere"),
                    HasSubstr("an interrupted download"),
                    HasSubstr("nowhere.json")));
  const CommandResult answer =
      run_trireme({"run", "--model", dangling.path(), "--prompts", ids, "--json"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("takes token ids only: tokenizer.json is a link"));
  EXPECT_EQ(json_lines(answer.out).at(0)["token_ids"].size(), 2u);
}

TEST(TokenizerFolder, TheDoorSaysWhatAFolderHasInPlaceOfTokenizerJson) {
  const ModelFolder model;
  model.write("tokenizer.model", "x");
  TemporaryFolder state;
  RunningTrireme up(
      {"up", "--model", model.path(), "--port", "0", "--state", state.path(), "--json"});
  const std::string line = up.wait_for("\"ready\"");
  ASSERT_NE(line, "") << up.text();
  EXPECT_THAT(up.text(), HasSubstr("tokenizer.model is not read"));
  const std::string endpoint = json::parse(line)["endpoint"];
  const CommandResult refused =
      run_trireme({"run", "--endpoint", endpoint, "--prompt", "hi", "--json"});
  EXPECT_EQ(refused.status, 1) << refused.err;
  EXPECT_THAT(refused.out,
              AllOf(HasSubstr("TRI-REQ-086"), HasSubstr("tokenizer.model is not read")));
}

TEST(TokenizerFolder, ABrokenTokenizerFileIsNamedByRunAndTokenize) {
  const ModelFolder model;
  model.write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid x\nsize 1\n");
  for (const char* verb : {"run", "tokenize"}) {
    std::vector<std::string> arguments = {verb, "--model", model.path()};
    if (verb == std::string("run")) arguments.emplace_back("--prompt");
    arguments.emplace_back("hi");
    const CommandResult result = run_trireme(arguments);
    EXPECT_EQ(result.status, 2) << verb;
    EXPECT_THAT(result.err,
                AllOf(StartsWith("TRI-TOK-002: "),
                      HasSubstr(model.path() + "/tokenizer.json"),
                      HasSubstr("git lfs pull")));
  }
}

TEST(TokenizerFolder, TokenizeRefusesATextThatIsNotUtf8AndNamesTheByte) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/texts.jsonl";
  std::ofstream(path, std::ios::binary) << "{\"text\": \"fine\"}\n{\"text\": \"caf\xE9\"}\n";
  const CommandResult text = run_trireme({"tokenize", "--model", kDemo, "--text", "caf\xE9 is"});
  EXPECT_EQ(text.status, 2);
  EXPECT_THAT(text.err, AllOf(StartsWith("TRI-RUN-040: "), HasSubstr("byte 3")));
  const CommandResult lines = run_trireme({"tokenize", "--model", kDemo, "--jsonl", path});
  EXPECT_EQ(lines.status, 2);
  EXPECT_THAT(lines.err,
              AllOf(HasSubstr("TRI-RUN-040: "), HasSubstr(" line 2: the line is not UTF-8")));
  EXPECT_EQ(json_lines(lines.out).size(), 1u);
}

}  // namespace tokenizer_folder_test
}  // namespace trireme

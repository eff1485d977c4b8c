// Bad input is refused within seconds, before anything is launched: exit status 2 and one line with
// an id, the value seen and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tests/cluster/trireme_command.h"

namespace trireme {
namespace bad_input_test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A copy of the demo model with one error.
class BrokenModel {
 public:
  BrokenModel() {
    for (const fs::directory_entry& file : fs::directory_iterator(kDemo)) {
      fs::copy(file.path(), folder_.path() / file.path().filename());
    }
  }
  const std::string& path() const { return folder_.path_text; }

  void edit_config(const std::function<void(json&)>& edit) {
    json config = json::parse(read_file(path() + "/config.json"));
    edit(config);
    write_file(path() + "/config.json", config.dump());
  }
  // Replaces the header and keeps the tensors' bytes.
  void edit_header(const std::function<void(json&)>& edit) {
    const std::string bytes = read_file(path() + "/model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    json header = json::parse(bytes.substr(8, length));
    edit(header);
    const std::string text = header.dump();
    const uint64_t new_length = text.size();
    std::string file(reinterpret_cast<const char*>(&new_length), sizeof new_length);
    write_file(path() + "/model.safetensors", file + text + bytes.substr(8 + length));
  }
  void truncate(int64_t bytes) {
    const std::string file = path() + "/model.safetensors";
    fs::resize_file(file, fs::file_size(file) - static_cast<uintmax_t>(bytes));
  }

 private:
  struct Folder {
    TemporaryFolder temporary;
    std::string path_text = temporary.path();
    fs::path path() const { return path_text; }
  };
  Folder folder_;
};

// Runs the verb and expects exit 2 with one line that starts with the id.
std::string refusal(const std::vector<std::string>& arguments, const std::string& id) {
  const CommandResult result = run_trireme(arguments, 15'000);
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith(id + ": "));
  EXPECT_EQ(result.err.find('\n'), std::string::npos) << result.err;
  return result.err;
}

std::string run_refusal(const std::string& model,
                        const std::vector<std::string>& more,
                        const std::string& id) {
  std::vector<std::string> arguments = {"run", "--model", model, "--prompt", "A vector"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return refusal(arguments, id);
}

TEST(BadInput, AnUnknownVerbNamesTheNearest) {
  EXPECT_THAT(refusal({"runn"}, "TRI-ARGS-020"), HasSubstr("did you mean run?"));
  EXPECT_THAT(refusal({"top"}, "TRI-ARGS-021"), HasSubstr("HTTP door"));
}

TEST(BadInput, AnUnknownFlagNamesTheNearest) {
  EXPECT_THAT(run_refusal(kDemo, {"--temprature", "1"}, "TRI-ARGS-001"),
              HasSubstr("did you mean --temperature?"));
}

TEST(BadInput, AnUnknownModelDirectory) {
  EXPECT_THAT(run_refusal("/nonexistent/model", {}, "TRI-CONF-001"),
              AllOf(HasSubstr("/nonexistent/model/config.json"), HasSubstr("check the path")));
}

TEST(BadInput, AnUnsupportedArchitectureNamesTheFieldAndWhatIsSupported) {
  BrokenModel model;
  model.edit_config([](json& config) { config["model_type"] = "mamba"; });
  EXPECT_THAT(
      run_refusal(model.path(), {}, "TRI-CONF-004"),
      AllOf(HasSubstr("model_type"), HasSubstr("mamba"), HasSubstr("llama"), HasSubstr("qwen3")));
}

// A default that cannot be used is a line, and the model runs.
TEST(BadInput, AGenerationConfigOutOfRangeIsNamedOnceAndExplainedAndDoesNotStopTheRun) {
  BrokenModel model;
  write_file(model.path() + "/generation_config.json", R"({"top_p": 0})");
  const CommandResult result = run_trireme(
      {"run", "--model", model.path(), "--prompt", "A vector", "--max-tokens", "2"}, 60'000);
  EXPECT_EQ(result.status, 0) << result.err;
  const size_t first = result.err.find("TRI-CONF-007");
  ASSERT_NE(first, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("TRI-CONF-007", first + 1), std::string::npos) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("generation_config.json"), HasSubstr("\"top_p\" is 0")));
  EXPECT_THAT(run_trireme({"models", "show", model.path()}).err, HasSubstr("TRI-CONF-007"));
  EXPECT_THAT(run_trireme({"explain", "TRI-CONF-007"}).out, HasSubstr("generation_config.json"));
}

TEST(BadInput, AMissingTensorIsNamed) {
  BrokenModel model;
  model.edit_header([](json& header) {
    header["renamed"] = header["model.layers.3.mlp.up_proj.weight"];
    header.erase("model.layers.3.mlp.up_proj.weight");
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-007"),
              HasSubstr("model.layers.3.mlp.up_proj.weight"));
}

TEST(BadInput, AMissingHeadNamesTheFieldThatTiesIt) {
  BrokenModel model;
  model.edit_config([](json& config) { config.erase("tie_word_embeddings"); });
  const auto words = AllOf(HasSubstr("lm_head.weight is missing"),
                           HasSubstr("set \"tie_word_embeddings\": true in config.json"));
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-007"), words);
  EXPECT_THAT(refusal({"plan", "--model", model.path()}, "TRI-LOAD-007"), words);
}

// A bias that config.json does not announce would be left out of the sums.
TEST(BadInput, ATensorOfTheDecoderThatNothingExpectsIsNamed) {
  BrokenModel model;
  model.edit_header([](json& header) {
    const json end = header["model.norm.weight"]["data_offsets"][0];
    header["model.layers.0.mlp.gate_proj.bias"] = {
        {"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {end, end}}};
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-021"),
              HasSubstr("model.layers.0.mlp.gate_proj.bias"));
}

TEST(BadInput, ADecoderBelowTwoPrefixesIsNamedWithBoth) {
  BrokenModel model;
  model.edit_header([](json& header) {
    header["module.model.norm.weight"] = header["model.norm.weight"];
    header.erase("model.norm.weight");
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-020"),
              AllOf(HasSubstr("model.embed_tokens.weight"), HasSubstr("module.model.norm.weight")));
}

TEST(BadInput, AGitLfsPointerIsNamed) {
  BrokenModel model;
  write_file(model.path() + "/model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-003"), HasSubstr("git lfs pull"));
}

TEST(BadInput, ATruncatedFileIsNamed) {
  BrokenModel model;
  model.truncate(1000);
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-004"), HasSubstr("model.safetensors"));
}

TEST(BadInput, AnOversizedTensorIsNamed) {
  BrokenModel model;
  model.edit_header([](json& header) {
    header["model.norm.weight"]["shape"] = {int64_t{1} << 40, 4096};
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-004"), HasSubstr("model.norm.weight"));
}

TEST(BadInput, OverlappingTensorsAreNamed) {
  BrokenModel model;
  model.edit_header([](json& header) {
    header["model.layers.1.input_layernorm.weight"]["data_offsets"] =
        header["model.layers.0.input_layernorm.weight"]["data_offsets"];
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-004"), HasSubstr("input_layernorm.weight"));
}

TEST(BadInput, ATensorOfTheWrongShapeIsNamedWithBothShapes) {
  BrokenModel model;
  model.edit_config([](json& config) {
    config["intermediate_size"] = config["intermediate_size"].get<int>() + 64;
  });
  EXPECT_THAT(run_refusal(model.path(), {}, "TRI-LOAD-008"), HasSubstr("_proj.weight"));
}

TEST(BadInput, AnImpossiblePartitionNamesThoseThatWork) {
  EXPECT_THAT(run_refusal(kDemo, {"-tp", "3"}, "TRI-PLAN-001"),
              AllOf(HasSubstr("-tp 3"), HasSubstr("1, 2, 4 or 8")));
  EXPECT_THAT(run_refusal(kDemo, {"-pp", "9"}, "TRI-PLAN-002"),
              AllOf(HasSubstr("-pp 9"), HasSubstr("1 to 8")));
}

TEST(BadInput, TooLittleMemoryNamesTheRankAndAPartitionThatFits) {
  EXPECT_THAT(
      run_refusal("dummy:llama-3.1-405b", {}, "TRI-UP-006"),
      AllOf(HasSubstr("weights"), HasSubstr("available"), HasSubstr("-tp"), HasSubstr("-pp")));
  EXPECT_THAT(run_refusal(kDemo, {"--kv-memory", "1KiB"}, "TRI-UP-005"),
              AllOf(HasSubstr("1.00 KiB"), HasSubstr("needs")));
}

TEST(BadInput, APromptLongerThanTheModel) {
  std::string words;
  for (int i = 0; i < 2000; ++i) words += "word ";
  EXPECT_THAT(refusal({"run", "--model", kDemo, "--prompt", words}, "TRI-RUN-027"),
              HasSubstr("at most 1023"));
}

TEST(BadInput, ASamplingValueOutOfRange) {
  EXPECT_THAT(run_refusal(kDemo, {"--top-p", "1.5"}, "TRI-REQ-001"),
              AllOf(HasSubstr("top_p is 1.5"), HasSubstr("allowed")));
  EXPECT_THAT(run_refusal(kDemo, {"--temperature", "-1"}, "TRI-REQ-001"),
              HasSubstr("temperature is -1"));
  EXPECT_THAT(run_refusal(kDemo, {"--max-tokens", "abc"}, "TRI-ARGS-003"), HasSubstr("abc"));
}

TEST(BadInput, AValueThatIsNotBuiltListsThoseThatAre) {
  EXPECT_THAT(run_refusal(kDemo, {"--dtype", "float16"}, "TRI-UP-001"),
              HasSubstr("bfloat16, float32"));
  EXPECT_THAT(run_refusal(kDemo, {"--backend", "cuda", "--dtype", "float32"}, "TRI-UP-001"),
              HasSubstr("bfloat16, float16"));
  EXPECT_THAT(run_refusal(kDemo, {"--kv-cache-dtype", "fp8"}, "TRI-UP-001"), HasSubstr("auto"));
}

TEST(BadInput, EveryLineOfAPromptsFileIsCheckedAndNamed) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  const struct {
    const char* line;
    const char* id;
    const char* words;
  } cases[] = {
      {"{\"prompt\": \"b\", \"temperatur\": 1}", "TRI-RUN-024", "\"temperature\""},
      {"{\"messages\": {\"role\": \"user\"}}", "TRI-RUN-022", "\"messages\""},
      {"{\"prompt\": \"b\", \"tools\": []}", "TRI-RUN-022", "\"tools\""},
      {"not json", "TRI-RUN-021", "JSON object"},
      {"{\"prompt\": \"b\", \"token_ids\": [1]}", "TRI-RUN-022", "exactly one"},
      {"{\"token_ids\": [99999]}", "TRI-RUN-026", "99999"},
      {"{\"prompt\": \"b\", \"top_k\": \"many\"}", "TRI-RUN-020", "top_k"},
      {"{\"prompt\": \"b\", \"min_p\": 3}", "TRI-REQ-001", "min_p is 3"},
      {"{\"prompt\": \"\"}", "TRI-RUN-028", "no tokens"},
  };
  for (const auto& one : cases) {
    write_file(path, format_text("{{\"prompt\": \"a\"}}\n\n{}\n", one.line));
    EXPECT_THAT(refusal({"run", "--model", kDemo, "--prompts", path}, one.id),
                AllOf(HasSubstr("line 3"), HasSubstr(one.words)))
        << one.line;
  }
}

TEST(BadInput, SeveralPromptsOrNone) {
  refusal({"run", "--model", kDemo}, "TRI-RUN-003");
  refusal({"run", "--model", kDemo, "--prompt", "a", "--prompts", "b"}, "TRI-RUN-003");
  refusal({"run", "--prompt", "a"}, "TRI-RUN-004");
  refusal({"run", "--prompt", "a", "--endpoint", "nowhere"}, "TRI-NET-033");
  const std::vector<std::string> traced = {
      "run", "--prompt", "a", "--endpoint", "tcp://127.0.0.1:8900", "--trace", "trace.json"};
  EXPECT_THAT(refusal(traced, "TRI-RUN-004"), HasSubstr("--trace"));
}

TEST(BadInput, AHostfileThatIsTooSmallOrUnreadable) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/hosts";
  write_file(path, "localhost slots=2\n");
  const std::vector<std::string> more = {"--hostfile", path, "--worker-host", "localhost"};
  EXPECT_THAT(run_refusal(kDemo, {"-tp", "4", "--hostfile", path}, "TRI-UP-004"),
              AllOf(HasSubstr("2 slots"), HasSubstr("4 ranks")));
  write_file(path, "localhost slots=many\n");
  EXPECT_THAT(run_refusal(kDemo, more, "TRI-UP-004"), HasSubstr("line 1"));
}

TEST(BadInput, ReferenceOutputsOfAnotherModel) {
  const std::string other = TRIREME_TEST_DATA "/golden/models/llama-gqa/expected.safetensors";
  EXPECT_THAT(refusal({"verify", "--model", kDemo, "--expected", other}, "TRI-VERIFY-002"),
              HasSubstr("another model"));
  EXPECT_THAT(refusal({"verify", "--model", kDemo, "--expected", kDemo + "/model.safetensors"},
                      "TRI-VERIFY-001"),
              HasSubstr("model.safetensors"));
}

TEST(BadInput, TextThatIsNotUtf8IsRefusedWithTheByte) {
  const std::vector<std::string> run = {"run", "--model", kDemo};
  const auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return refusal(more, "TRI-RUN-040");
  };
  EXPECT_THAT(refused({"--prompt", "caf\xE9 is"}),
              HasSubstr("the prompt is not UTF-8 at byte 3; convert it (iconv"));
  EXPECT_THAT(refused({"--prompt", "hi", "--stop", "\xFF"}),
              HasSubstr("the stop string is not UTF-8 at byte 0"));
  EXPECT_THAT(refused({"--prompt", "hi", "--served-model-name", "a\xFF"}),
              HasSubstr("--served-model-name is not UTF-8 at byte 1"));
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  write_file(path, "{\"prompt\": \"a\"}\n{\"prompt\": \"caf\xE9\"}\n");
  EXPECT_THAT(refused({"--prompts", path}), HasSubstr("line 2: the line is not UTF-8 at byte 15"));
  ASSERT_EQ(::setenv("TRIREME_STOP", "a\xFF", 1), 0);
  EXPECT_THAT(refused({"--prompt", "hi"}), HasSubstr("the stop string is not UTF-8 at byte 1"));
  ::unsetenv("TRIREME_STOP");
  write_file(path, "caf\xE9 is");
  RunningTrireme piped({"run", "-", "--model", kDemo}, {"bash", "-c", "\"$@\" < " + path, "_"});
  const CommandResult result = piped.finish(15'000);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, StartsWith("TRI-RUN-040: the prompt is not UTF-8 at byte 3; "));
}

TEST(BadInput, ANumberOutOfRangeIsRefusedWithTheRange) {
  EXPECT_THAT(run_refusal(kDemo, {"--max-tokens", "2147483648"}, "TRI-REQ-001"),
              HasSubstr("max_tokens is 2147483648, allowed are 1 to 16777216"));
  EXPECT_THAT(run_refusal(kDemo, {"--seed", "-1"}, "TRI-REQ-001"), HasSubstr("leave it out"));
  ASSERT_EQ(::setenv("TRIREME_TOP_P", "1.0000001", 1), 0);
  EXPECT_THAT(run_refusal(kDemo, {}, "TRI-REQ-001"),
              HasSubstr("TRIREME_TOP_P: top_p is 1.0000001"));
  ::unsetenv("TRIREME_TOP_P");
  TemporaryFolder folder;
  const std::string path = folder.path() + "/config.toml";
  write_file(path, "temperature = nan\n");
  EXPECT_THAT(run_refusal(kDemo, {"--config", path}, "TRI-REQ-001"),
              HasSubstr("temperature is nan, allowed are 0 (greedy) to 100"));
}

TEST(BadInput, AnOutputThatCannotBeWrittenIsRefusedBeforeTheWork) {
  TemporaryFolder folder;
  EXPECT_THAT(run_refusal(kDemo, {"--trace", "/nonexistent/t.json"}, "TRI-RUN-090"),
              HasSubstr("/nonexistent/t.json"));
  EXPECT_THAT(run_refusal(kDemo, {"--trace", folder.path()}, "TRI-RUN-090"),
              HasSubstr(folder.path()));
  run_refusal(kDemo, {"--log-file", "/nonexistent/log"}, "TRI-ARGS-026");
  const std::string file = folder.path() + "/file";
  write_file(file, "no folder");
  for (const char* kind : {"step", "serve"}) {
    EXPECT_THAT(refusal({"bench", kind, "--model", kDemo, "--save", file}, "TRI-BENCH-004"),
                HasSubstr(file));
  }
  refusal({"bench", "report", folder.path(), "--out", "/nonexistent/r.html"}, "TRI-BENCH-004");
  refusal({"models", "make", "--like", "llama-3.2-1b", "--out", file + "/m"}, "TRI-MOD-001");
}

TEST(BadInput, ATemporaryFolderThatIsNotThereIsNamed) {
  ASSERT_EQ(::setenv("TMPDIR", "/nonexistent/tmp", 1), 0);
  EXPECT_THAT(run_refusal(kDemo, {}, "TRI-UP-015"),
              HasSubstr("the temporary folder /nonexistent/tmp"));
  ::unsetenv("TMPDIR");
}

}  // namespace bad_input_test
}  // namespace trireme

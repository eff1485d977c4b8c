// `trireme verify` with real clusters: a right model passes, a wrong weight is localized.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/served_cluster.h"
#include "tests/model/checkpoint_editor.h"

namespace trireme {
namespace verify_verb_test {

using nlohmann::json;

TEST(Verify, TheDemoModelPasses) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    const CommandResult result = run_trireme(
        {"verify", "--model", kDemo, "-tp", "2", "-pp", "2", "--dtype", dtype, "--json"});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    const json verdict = json::parse(result.out);
    EXPECT_EQ(verdict["passed"], true);
    EXPECT_EQ(verdict["sequences"], 5);
    EXPECT_EQ(verdict["positions"], 40);
    EXPECT_EQ(verdict["tp"], 2);
    EXPECT_EQ(verdict["dtype"], dtype);
    EXPECT_GT(verdict["greedy_equal"], 100);
  }
}

TEST(Verify, ASequenceThatIsLongerThanTheModelRunsWithIsNamedAtOnce) {
  const CommandResult result = run_trireme(
      {"verify", "--model", TRIREME_TEST_DATA "/golden/models/llama-gqa", "--max-model-len", "50"},
      15'000);
  EXPECT_EQ(result.status, 2) << result.out;
  EXPECT_TRUE(result.err.starts_with("TRI-VERIFY-003: ")) << result.err;
  for (const char* words : {"sequence \"long\"", "at most 50", "max-model-len"}) {
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  }
}

// The model with one weight matrix of another layer, against the outputs of the right one.
TEST(Verify, AWrongWeightFailsAndIsLocalizedToItsLayer) {
  const std::string right = TRIREME_TEST_DATA "/golden/models/llama-gqa";
  TemporaryFolder folder;
  for (const char* name : {"config.json", "expected.safetensors", "model.safetensors"}) {
    std::ifstream from(format_text("{}/{}", right, name), std::ios::binary);
    std::ofstream(format_text("{}/{}", folder.path(), name), std::ios::binary) << from.rdbuf();
  }
  std::fstream weights(folder.path() + "/model.safetensors",
                       std::ios::binary | std::ios::in | std::ios::out);
  uint64_t length = 0;
  weights.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string header(length, ' ');
  weights.read(header.data(), static_cast<std::streamsize>(length));
  const json tensor = json::parse(header)["model.layers.2.mlp.down_proj.weight"];
  const auto begin = tensor["data_offsets"][0].get<int64_t>();
  const auto end = tensor["data_offsets"][1].get<int64_t>();
  weights.seekp(static_cast<std::streamoff>(8 + length) + begin);
  weights << std::string(static_cast<size_t>(end - begin), '\0');
  weights.close();
  const CommandResult result = run_trireme(
      {"verify", "--model", folder.path(), "--dtype", "float32", "--localize", "--json"});
  EXPECT_EQ(result.status, 1) << result.err;
  const json verdict = json::parse(result.out);
  EXPECT_EQ(verdict["passed"], false);
  EXPECT_EQ(verdict["first_difference"]["layer"], 3) << verdict;  // the output of layer index 2
}

size_t count_of(const std::string& text, const std::string& words) {
  size_t count = 0;
  for (size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

// Both remarks and the unused tensors are one warning each, however many processes read the files.
TEST(Verify, WhatWasChosenInTheCheckpointIsSaidOnce) {
  EditedCheckpoint edited(TRIREME_TEST_DATA "/golden/models/llama-gqa");
  edited.config["tie_word_embeddings"] = true;  // the stored head is another matrix
  edited.tensors["vision_tower.scale"] = zeros("F8_E4M3", {3}, 8);
  const std::string folder = edited.write("chosen");
  std::ofstream(folder + "/model.safetensors.index.json") << R"({"weight_map": {"a": "b"}})";
  const CommandResult result = run_trireme(
      {"verify", "--model", folder, "-tp", "2", "-pp", "2", "--dtype", "float32", "--json"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_EQ(json::parse(result.out)["passed"], true);
  EXPECT_EQ(count_of(result.err, "the stored head is used"), 1u) << result.err;
  EXPECT_EQ(count_of(result.err, "the single file is loaded"), 1u) << result.err;
  EXPECT_EQ(count_of(result.err, "not used: vision_tower.scale"), 1u) << result.err;
  EXPECT_EQ(count_of(result.err, "warning:"), 3u) << result.err;
}

// The planned bytes are those of a model with a head of its own.
TEST(Plan, CountsAHeadThatDiffersFromTheEmbedding) {
  EditedCheckpoint edited(TRIREME_TEST_DATA "/golden/models/llama-gqa");
  const auto planned_bytes = [&](const char* name) {
    const CommandResult result =
        run_trireme({"plan", "--model", edited.write(name), "-tp", "1", "-pp", "1", "--json"});
    EXPECT_EQ(result.status, 0) << result.err;
    return json::parse(result.out)["ranks"][0]["weight_bytes"].get<int64_t>();
  };
  const int64_t untied = planned_bytes("untied");
  edited.config["tie_word_embeddings"] = true;
  EXPECT_EQ(planned_bytes("said_tied"), untied);
  edited.tensors.at("lm_head.weight") = edited.tensors.at("model.embed_tokens.weight");
  EXPECT_LT(planned_bytes("tied"), untied);
}

}  // namespace verify_verb_test
}  // namespace trireme

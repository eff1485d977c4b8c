// `trireme verify` with real clusters: a right model passes, a wrong weight is localized.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace {

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

}  // namespace
}  // namespace trireme

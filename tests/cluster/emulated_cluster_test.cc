// The verbs on the CUDA backend, end to end: the programs of a build with CUDA whose one GPU is
// emulated. Ranks share it, so a group is one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tests/cluster/trireme_command.h"

namespace trireme {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kModel = TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa";

CommandResult run_on_gpu(std::vector<std::string> arguments) {
  for (const char* word : {"--model", kModel.c_str(), "--backend", "cuda", "--max-num-seqs", "4"}) {
    arguments.emplace_back(word);
  }
  for (const char* word : {"--max-num-batched-tokens", "64", "--kv-memory", "8MiB"}) {
    arguments.emplace_back(word);
  }
  return run_trireme(arguments, 200'000);
}

TEST(EmulatedCluster, VerifyPassesOnRanksThatShareAGpu) {
  const CommandResult result = run_on_gpu({"verify", "-tp", "2", "--json"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const json verdict = json::parse(result.out);
  EXPECT_EQ(verdict["passed"], true);
  EXPECT_EQ(verdict["backend"], "cuda");
  EXPECT_EQ(verdict["dtype"], "bfloat16");
  EXPECT_GT(verdict["positions"], 0);
  EXPECT_THAT(result.err, HasSubstr("2 ranks share 1 GPU; each group is one process"));
}

TEST(EmulatedCluster, VerifyPassesInFloat16OverAPipeline) {
  const CommandResult result =
      run_on_gpu({"verify", "-pp", "2", "--dtype", "float16", "--invariant", "--json"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const json verdict = json::parse(result.out);
  EXPECT_EQ(verdict["dtype"], "float16");
}

TEST(EmulatedCluster, ABenchSaysWhatItRanOn) {
  const CommandResult result = run_on_gpu({"bench",
                                           "step",
                                           "--prefill",
                                           "16",
                                           "--decode",
                                           "3",
                                           "--batch",
                                           "2",
                                           "--repeats",
                                           "1",
                                           "--json"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const auto lines = split(result.out, '\n');
  ASSERT_GE(lines.size(), 2u) << result.out;
  EXPECT_EQ(json::parse(lines[0])["backend"], "cuda");
  EXPECT_THAT(json::parse(lines[0])["device"].get<std::string>(), HasSubstr("emulated device 0"));
}

TEST(EmulatedCluster, WhatDoesNotFitTheGpuIsRefusedBeforeTheStart) {
  const CommandResult result =
      run_trireme({"run", "--model", "dummy:llama-3.1-8b", "--prompt", "x", "-tp", "2"});
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("TRI-UP-006: a rank needs at least"));
  EXPECT_THAT(result.err, HasSubstr("2 ranks share a GPU"));
}

TEST(EmulatedCluster, TheDoctorAndTheVersionKnowTheGpu) {
  EXPECT_THAT(run_trireme({"version"}).out, HasSubstr("backends: cpu, cuda"));
  const CommandResult result = run_trireme({"doctor", "--json"});
  EXPECT_THAT(result.out, HasSubstr(R"("subject":"GPU 0","found":"emulated device 0, 1.00 GiB)"));
}

}  // namespace
}  // namespace trireme

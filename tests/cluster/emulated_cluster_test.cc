// The verbs on the CUDA backend, end to end: the programs of a build with CUDA whose one GPU is
// emulated. Ranks share it, so a group is one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tests/cluster/trireme_command.h"

namespace trireme {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

const std::string kModel = TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa";

const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";

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

TEST(EmulatedCluster, UpAnswersAndDrains) {
  RunningTrireme up({"up",
                     "--no-http",
                     "--model",
                     kDemo,
                     "--backend",
                     "cuda",
                     "-tp",
                     "2",
                     "-pp",
                     "2",
                     "--max-num-seqs",
                     "8",
                     "--max-num-batched-tokens",
                     "64",
                     "--kv-memory",
                     "8MiB",
                     "--port",
                     "0",
                     "--json"});
  const std::string ready = up.wait_for("\"ready\"", 60'000);
  ASSERT_NE(ready, "") << up.text();
  const std::string endpoint = json::parse(ready)["endpoint"];
  const CommandResult run = run_trireme({"run",
                                         "--endpoint",
                                         endpoint,
                                         "--prompt",
                                         "A ship",
                                         "--max-tokens",
                                         "8",
                                         "--ignore-eos",
                                         "--json"});
  ASSERT_EQ(run.status, 0) << run.err << up.text();
  EXPECT_EQ(json::parse(run.out)["token_ids"].size(), 8u);
  up.signal(SIGINT);
  const CommandResult ended = up.finish();
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("bfloat16 on cuda (sm_90a)"));
}

TEST(EmulatedCluster, ABenchReportsItsDeviceHostTimeAndMatmuls) {
  setenv("TRIREME_EMULATION_CUBLASLT", "130100", 1);
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
  unsetenv("TRIREME_EMULATION_CUBLASLT");
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const auto lines = split(result.out, '\n');
  ASSERT_GE(lines.size(), 2u) << result.out;
  const json prefill = json::parse(lines[0]);
  const json decode = json::parse(lines[1]);
  EXPECT_EQ(prefill["backend"], "cuda");
  EXPECT_THAT(prefill["device"].get<std::string>(), HasSubstr("emulated device 0"));
  for (const json& line : {prefill, decode}) {
    EXPECT_GT(line["host_us_median"], 0);
    EXPECT_EQ(line["replayed"], true);
    EXPECT_EQ(line["refused_matmuls"], json::array());
    ASSERT_EQ(line["matmuls"].size(), 5u) << line;
    for (const json& matmul : line["matmuls"]) {
      EXPECT_THAT(matmul["algorithm"].get<std::string>(),
                  AnyOf(HasSubstr("; cuBLASLt "), HasSubstr("cuBLASLt algorithm ")))
          << matmul;
    }
  }
  EXPECT_EQ(prefill["matmuls"][0]["rows"], 16);
  const json& gate_up = decode["matmuls"][2];
  EXPECT_EQ(gate_up["rows"], 2);
  EXPECT_THAT(gate_up["algorithm"].get<std::string>(),
              AllOf(HasSubstr("stream kernel, 8 x "), HasSubstr("would add a launch")));
}

// Unlike on the CPU, where the leaves of a sum allow tp 1, 2, 4 and 8 only.
TEST(EmulatedCluster, TpIsAnyDivisorOfTheHeads) {
  std::ifstream file(kDemo + "/config.json");
  json config = json::parse(file);
  config["num_attention_heads"] = 6;
  config["num_key_value_heads"] = 3;
  config["head_dim"] = 64;
  config["hidden_size"] = 6 * 64;
  TemporaryFolder folder;
  const std::string path = folder.path() + "/config.json";
  std::ofstream(path) << config.dump();
  std::vector<std::string> arguments = {"bench", "step", "--model", "dummy:" + path, "-tp", "3"};
  for (const char* word : {"--prefill", "16", "--decode", "2", "--batch", "1", "--repeats", "1"}) {
    arguments.emplace_back(word);
  }
  for (const char* word : {"--max-num-seqs", "4", "--max-num-batched-tokens", "32", "--json"}) {
    arguments.emplace_back(word);
  }
  const CommandResult result = run_trireme(arguments, 100'000);
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_EQ(json::parse(split(result.out, '\n').at(0))["tp"], 3);
  arguments.insert(arguments.end(), {"--backend", "cpu"});
  EXPECT_THAT(run_trireme(arguments).err, HasSubstr("TRI-PLAN-001"));
}

TEST(EmulatedCluster, AModelThatDoesNotFitTheGpuIsRefusedBeforeTheStart) {
  const CommandResult result =
      run_trireme({"run", "--model", "dummy:llama-3.1-8b", "--prompt", "x", "-tp", "2"});
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("TRI-UP-006: a rank needs at least"));
  EXPECT_THAT(result.err, HasSubstr("2 ranks share a GPU"));
}

TEST(EmulatedCluster, DoctorAndVersionReportTheGpu) {
  EXPECT_THAT(run_trireme({"version"}).out, HasSubstr("backends: cpu, cuda"));
  const CommandResult result = run_trireme({"doctor", "--json"});
  EXPECT_THAT(result.out, HasSubstr(R"("subject":"GPU 0","found":"emulated device 0, 1.00 GiB)"));
}

}  // namespace
}  // namespace trireme

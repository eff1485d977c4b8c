// `trireme bench step`, `serve` and `report` end to end, with all fields of their output.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace bench_verb_test {

using nlohmann::json;
using testing::HasSubstr;

TEST(Bench, StepAndServeAreSavedAndReported) {
  TemporaryFolder folder;
  const std::string saved = folder.path() + "/results";
  const CommandResult step = run_trireme({"bench",
                                          "step",
                                          "--model",
                                          kDemo,
                                          "-tp",
                                          "2",
                                          "--prefill",
                                          "64",
                                          "--decode",
                                          "8",
                                          "--batch",
                                          "1,4",
                                          "--repeats",
                                          "2",
                                          "--json",
                                          "--save",
                                          saved});
  ASSERT_EQ(step.status, 0) << step.err;
  const auto steps = json_lines(step.out);
  ASSERT_EQ(steps.size(), 3u) << step.out;
  EXPECT_EQ(steps[0]["kind"], "prefill");
  EXPECT_EQ(steps[0]["tokens"], 64);
  EXPECT_EQ(steps[2]["batch"], 4);
  EXPECT_EQ(steps[2]["tokens"], 32);
  EXPECT_EQ(steps[0]["matmuls"][2]["rows"], 64);
  EXPECT_EQ(steps[2]["matmuls"][2]["rows"], 4);
  EXPECT_EQ(steps[2]["matmuls"][4]["name"], "head");
  for (const json& line : steps) {
    EXPECT_GT(line["tokens_per_second"], 0);
    EXPECT_LE(line["seconds_min"], line["seconds_median"]);
    EXPECT_GT(line["host_us_median"], 0);
    EXPECT_LE(line["host_us_median"].get<double>(), 1e6 * line["seconds_median"].get<double>());
    EXPECT_EQ(line["replayed"], false);  // a CPU captures nothing
    EXPECT_EQ(line["refused_matmuls"], json::array());
    ASSERT_EQ(line["matmuls"].size(), 5u) << line;
    EXPECT_EQ(line["matmuls"][2]["name"], "gate_up");
    EXPECT_EQ(line["matmuls"][2]["algorithm"], "own kernel");
    const int64_t window_us =
        line["window_us"][1].get<int64_t>() - line["window_us"][0].get<int64_t>();
    EXPECT_GT(static_cast<double>(window_us), 0.9e6 * line["seconds_min"].get<double>());
    for (const char* field : {"context",
                              "repeats",
                              "tp",
                              "pp",
                              "threads",
                              "dtype",
                              "quantization",
                              "backend",
                              "device"}) {
      EXPECT_TRUE(line.contains(field)) << field;
    }
  }

  const CommandResult serve = run_trireme({"bench",
                                           "serve",
                                           "--model",
                                           kDemo,
                                           "--concurrency",
                                           "1,3",
                                           "--requests",
                                           "6",
                                           "--input-len",
                                           "20",
                                           "--output-len",
                                           "10",
                                           "--goodput-ttft-ms",
                                           "60000",
                                           "--json",
                                           "--save",
                                           saved});
  ASSERT_EQ(serve.status, 0) << serve.err;
  const auto points = json_lines(serve.out);
  ASSERT_EQ(points.size(), 2u) << serve.out;
  for (const json& point : points) {
    EXPECT_EQ(point["requests"], 6);
    EXPECT_EQ(point["failed"], 0);
    EXPECT_EQ(point["input_tokens"], 120);
    EXPECT_EQ(point["output_tokens"], 60);
    for (const char* name : {"ttft_ms", "tpot_ms", "itl_ms", "e2e_ms"}) {
      EXPECT_GT(point[name]["p50"], 0) << name;
      EXPECT_LE(point[name]["p50"], point[name]["p99"]) << name;
    }
    EXPECT_LE(point["ttft_ms"]["p50"], point["e2e_ms"]["p50"]);
    EXPECT_NEAR(point["goodput_requests_per_second"].get<double>(),
                point["requests_per_second"].get<double>(),
                1e-9);
  }
  EXPECT_EQ(points[1]["concurrency"], 3);

  const std::string page = folder.path() + "/page.html";
  const CommandResult report = run_trireme({"bench", "report", saved, "--out", page});
  ASSERT_EQ(report.status, 0) << report.err;
  std::ifstream file(page);
  const std::string html{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(html, HasSubstr("tp 2 x pp 1"));
  EXPECT_THAT(html, HasSubstr("<svg"));
}

TEST(Bench, AnOpenLoopSendsAtItsRate) {
  const CommandResult serve = run_trireme({"bench",
                                           "serve",
                                           "--model",
                                           kDemo,
                                           "--rate",
                                           "40",
                                           "--requests",
                                           "40",
                                           "--input-len",
                                           "8",
                                           "--output-len",
                                           "2",
                                           "--json"});
  ASSERT_EQ(serve.status, 0) << serve.err;
  const json point = json_lines(serve.out).at(0);
  EXPECT_EQ(point["request_rate"], 40.0);
  EXPECT_EQ(point["requests"], 40);
  EXPECT_GT(point["duration_s"], 0.4);  // a closed loop would be through in a tenth of that
}

TEST(Bench, WhatDoesNotFitIsRefused) {
  const CommandResult both =
      run_trireme({"bench", "serve", "--model", kDemo, "--concurrency", "1", "--rate", "2"});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("TRI-BENCH-003"));
  const CommandResult longer = run_trireme(
      {"bench", "serve", "--model", kDemo, "--input-len", "1000", "--output-len", "100"});
  EXPECT_EQ(longer.status, 2);
  EXPECT_THAT(longer.err, HasSubstr("1024 tokens"));
  for (const auto& [flag, value, allowed] : {std::tuple("--prefill", "1024", "up to 1023"),
                                             {"--decode", "1023", "up to 1022"},
                                             {"--batch", "1,0", "1 to 65536"}}) {
    const CommandResult step = run_trireme({"bench", "step", "--model", kDemo, flag, value});
    EXPECT_EQ(step.status, 2) << step.err;
    EXPECT_THAT(step.err, AllOf(HasSubstr("TRI-BENCH-003"), HasSubstr(allowed)));
  }
  EXPECT_EQ(run_trireme({"bench", "report", "/nonexistent"}).status, 2);
  EXPECT_EQ(run_trireme({"bench", "walk"}).status, 2);
}

TEST(Bench, AnInterruptEndsItWith130) {
  RunningTrireme running({"bench", "step", "--model", kDemo, "--repeats", "1000"});
  ASSERT_EQ(running.wait_for_descendants("trireme-worker", 1).size(), 1u);
  running.signal(SIGINT);
  EXPECT_EQ(running.finish(15'000).status, 130);
}

}  // namespace bench_verb_test
}  // namespace trireme

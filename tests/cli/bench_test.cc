// Figures of a load run, arrival times, saved results and the report made of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/exit_status.h"
#include "base/text.h"
#include "clients/cli/bench/load_figures.h"
#include "clients/cli/bench/report_page.h"
#include "clients/cli/bench/saved_results.h"
#include "clients/cli/bench/svg_plot.h"
#include "clients/cli/json_text.h"

namespace trireme {
namespace bench_test {

using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

// Sent at 1 s; tokens in frames of one at the given milliseconds after that.
Answer answer_of(const std::vector<int>& token_ms) {
  Answer answer;
  answer.sent_us = 1'000'000;
  answer.prompt_tokens = 10;
  answer.choices.resize(1);
  for (const int ms : token_ms) {
    answer.choices[0].token_ids.push_back(1);
    answer.choices[0].frame_us.push_back(answer.sent_us + 1000 * ms);
    answer.choices[0].frame_tokens.push_back(1);
  }
  answer.done_us = answer.sent_us + 1000 * (token_ms.empty() ? 0 : token_ms.back()) + 500;
  answer.over = true;
  return answer;
}

TEST(Distribution, InterpolatesBetweenRanks) {
  const Distribution of_five = distribution_of({50, 10, 30, 20, 40});
  EXPECT_DOUBLE_EQ(of_five.mean, 30);
  EXPECT_DOUBLE_EQ(of_five.p50, 30);
  EXPECT_DOUBLE_EQ(of_five.p90, 46);
  EXPECT_DOUBLE_EQ(of_five.p99, 49.6);
  EXPECT_EQ(distribution_of({7}).p99, 7);
  EXPECT_EQ(distribution_of({}).mean, 0);
}

TEST(LoadFigures, FollowTheDefinitions) {
  const LoadFigures figures =
      figures_of({answer_of({10, 12, 18}), answer_of({20, 24})}, 500'000, {15, 0});
  EXPECT_EQ(figures.requests, 2);
  EXPECT_EQ(figures.input_tokens, 20);
  EXPECT_EQ(figures.output_tokens, 5);
  EXPECT_DOUBLE_EQ(figures.output_tokens_per_second(), 10);
  EXPECT_DOUBLE_EQ(figures.ttft_ms.mean, 15);
  EXPECT_DOUBLE_EQ(figures.tpot_ms.mean, 4);  // (18 - 10) / 2 and (24 - 20) / 1
  EXPECT_DOUBLE_EQ(figures.itl_ms.mean, 4);   // gaps 2, 6, 4
  EXPECT_DOUBLE_EQ(figures.e2e_ms.mean, 21.5);
  ASSERT_TRUE(figures.goodput_requests_per_second.has_value());
  EXPECT_DOUBLE_EQ(*figures.goodput_requests_per_second,
                   2);  // one of two had its first token within 15 ms
}

TEST(LoadFigures, AFailedRequestIsCountedButNotMeasured) {
  Answer failed = answer_of({});
  failed.refusal = exhausted("TRI-REQ-030", "full");
  const LoadFigures figures = figures_of({answer_of({10, 20}), failed}, 1'000'000, {});
  EXPECT_EQ(figures.failed, 1);
  EXPECT_EQ(figures.output_tokens, 2);
  EXPECT_DOUBLE_EQ(figures.ttft_ms.p99, 10);
  EXPECT_FALSE(figures.to_json().contains("goodput_requests_per_second"));
}

TEST(Arrivals, HaveTheRequestedRateAndDependOnTheSeedAlone) {
  const auto arrivals = poisson_arrivals(20'000, 50, 1);
  EXPECT_EQ(arrivals, poisson_arrivals(20'000, 50, 1));
  EXPECT_NE(arrivals, poisson_arrivals(20'000, 50, 2));
  EXPECT_EQ(arrivals.front(), 0);
  // The mean of 20,000 gaps of 20 ms has a deviation of 20 / sqrt(20,000) = 0.14 ms.
  EXPECT_NEAR(static_cast<double>(arrivals.back()) / 19'999, 20'000, 5 * 142);
}

TEST(NiceTicks, AreRoundAndReachTheMaximum) {
  EXPECT_THAT(nice_ticks(970, 5), ElementsAre(0, 200, 400, 600, 800, 1000));
  EXPECT_THAT(nice_ticks(0, 5), ElementsAre(0, 1));
  EXPECT_THAT(nice_ticks(4.9, 5), ElementsAre(0, 1, 2, 3, 4, 5));
}

SavedRun run_of(const std::string& model, double rate) {
  ClusterFlags flags;
  flags.model = model;
  flags.tp = 2;
  LoadFigures figures = figures_of({answer_of({10, 20})}, 1'000'000, {});
  Json result = {{"concurrency", 4}};
  result.update(figures.to_json());
  result["output_tokens_per_second"] = rate;
  return {describe_run("serve", flags).dump(), {result.dump()}};
}

std::string fresh_folder(const std::string& name) {
  const std::string path = testing::TempDir() + "/bench_test_" + name;
  std::filesystem::remove_all(path);
  return path;
}

TEST(SavedResults, AreReadAsWrittenAndNeverOverwritten) {
  const std::string folder = fresh_folder("saved");
  ClusterFlags flags;
  for (const double rate : {10, 20}) {
    auto file = ResultsFile::create(folder, "serve", flags);
    ASSERT_TRUE(file.ok()) << message_of(file.status());
    ASSERT_TRUE(file->write(run_of("a", rate)).ok());
  }
  const auto runs = read_runs({folder});
  ASSERT_TRUE(runs.ok()) << message_of(runs.status());
  ASSERT_EQ(runs->size(), 2u);
  EXPECT_EQ(Json::parse((*runs)[0].about)["model"], "a");
  EXPECT_EQ((*runs)[0].results.size(), 1u);
}

TEST(SavedResults, TheFileIsMadeBeforeTheWorkAndRemovedIfThatFails) {
  const std::string folder = fresh_folder("early");
  ClusterFlags flags;
  {
    const auto file = ResultsFile::create(folder, "step", flags);
    ASSERT_TRUE(file.ok()) << message_of(file.status());
    EXPECT_TRUE(std::filesystem::exists(folder + "/step-tp1-pp1.jsonl"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::ofstream(folder + "/file") << "no folder";
  const Status status = ResultsFile::create(folder + "/file", "step", flags).status();
  EXPECT_EQ(error_id(status), "TRI-BENCH-004");
  EXPECT_EQ(exit_status_of(status), kBadInput);
}

TEST(SavedResults, AModelsNameOfAnyBytesIsSavedEscaped) {
  ClusterFlags flags;
  flags.model = "m\xFF";
  EXPECT_THAT(json_text(describe_run("serve", flags)), HasSubstr("m\\\\xff"));
}

TEST(SavedResults, OtherFilesAreRejectedWithFileAndLine) {
  const std::string folder = fresh_folder("other");
  EXPECT_EQ(error_id(read_runs({folder}).status()), "TRI-BENCH-005");
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/x.jsonl") << "{\"kind\": \"step\", \"time\": \"\"}\n\n{\"a\": 1}\n";
  const Status status = read_runs({folder}).status();
  EXPECT_EQ(error_id(status), "TRI-BENCH-006");
  EXPECT_THAT(message_of(status), HasSubstr("x.jsonl line 3"));
}

TEST(Report, IsSelfContainedAndEscapesText) {
  const std::string page = report_page({run_of("<b>&model", 123.456)});
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;&amp;model"));
  EXPECT_THAT(page, HasSubstr("123.5"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_EQ(page.find("<th>rate</th>"), std::string::npos);  // no result has one
}

TEST(Report, TheTableHasOneLinePerResultAndQuotesCommas) {
  const std::string csv = report_csv({run_of("a,b", 10), run_of("c", 20)});
  const auto lines = split(csv, '\n');
  ASSERT_EQ(lines.size(), 4u);  // head, two results, and "" after the last newline
  EXPECT_THAT(lines[0], HasSubstr("ttft_ms.p50"));
  EXPECT_THAT(lines[1], HasSubstr("\"a,b\""));
}

}  // namespace bench_test
}  // namespace trireme

#include "base/trace.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace trireme {
namespace trace_test {

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string temporary(const std::string& name) {
  return testing::TempDir() + "/trace_test_" + name;
}

TEST(Trace, WritesSpansAsValidJson) {
  Trace trace("worker 1", 3);
  trace.span("forward", 2, 100, 350, 7);
  const std::string path = temporary("one.json");
  ASSERT_TRUE(trace.write(path).ok());
  const auto json = nlohmann::json::parse(file_text(path));
  ASSERT_EQ(json["traceEvents"].size(), 2u);
  EXPECT_EQ(json["traceEvents"][0]["args"]["name"], "worker 1");
  const auto& span = json["traceEvents"][1];
  EXPECT_EQ(span["name"], "forward");
  EXPECT_EQ(span["pid"], 3);
  EXPECT_EQ(span["tid"], 2);
  EXPECT_EQ(span["ts"], 100);
  EXPECT_EQ(span["dur"], 250);
  EXPECT_EQ(span["args"]["step"], 7);
  std::filesystem::remove(path);
}

TEST(Trace, AFullTraceDropsAndCountsLaterSpans) {
  Trace trace("coordinator", 0, 2);
  for (int i = 0; i < 5; ++i) trace.span("plan", 0, i, i + 1, i);
  const std::string path = temporary("full.json");
  ASSERT_TRUE(trace.write(path).ok());
  const auto json = nlohmann::json::parse(file_text(path));
  EXPECT_EQ(json["traceEvents"].size(), 3u);
  EXPECT_EQ(json["traceEvents"][0]["args"]["dropped"], 3);
  std::filesystem::remove(path);
}

TEST(Trace, FilesOfSeveralProcessesJoinIntoOne) {
  std::vector<std::string> parts;
  for (int process = 0; process < 3; ++process) {
    Trace trace("worker", process);
    trace.span("step", 0, 1, 2, process);
    parts.push_back(temporary(std::to_string(process)));
    ASSERT_TRUE(trace.write_lines(parts.back()).ok());
  }
  const std::string path = temporary("joined.json");
  ASSERT_TRUE(join_traces(parts, path).ok());
  EXPECT_EQ(nlohmann::json::parse(file_text(path))["traceEvents"].size(), 6u);
  std::filesystem::remove(path);
  for (const std::string& part : parts) std::filesystem::remove(part);
}

TEST(Trace, AMissingFolderIsAnErrorWithAnId) {
  const Status status = Trace("x", 0).write("/nonexistent/folder/trace.json");
  EXPECT_EQ(error_id(status), "TRI-RUN-090");
}

}  // namespace trace_test
}  // namespace trireme

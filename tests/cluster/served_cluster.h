// A cluster under `trireme up` with the demo model, as a test uses it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "tests/cluster/trireme_command.h"

namespace trireme {

inline const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";

// One JSON value per line of text.
inline std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  for (const std::string& line : split(text, '\n')) {
    if (!line.empty()) lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

// `trireme up` on a free port, ready to serve.
class Served {
 public:
  explicit Served(std::vector<std::string> more = {})
      : running_(arguments(folder_.path(), std::move(more))) {
    const std::string line = running_.wait_for("\"ready\"");
    EXPECT_NE(line, "") << running_.text();
    if (line.empty()) return;
    const auto ready = nlohmann::json::parse(line);
    endpoint_ = ready["endpoint"];
    url_ = ready.value("http", "");
  }
  const std::string& endpoint() const { return endpoint_; }
  const std::string& url() const { return url_; }  // of its gateway; empty with --no-http
  RunningTrireme& running() { return running_; }

  CommandResult run(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"run", "--endpoint", endpoint_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_trireme(arguments);
  }

 private:
  static std::vector<std::string> arguments(const std::string& state,
                                            std::vector<std::string> more) {
    std::vector<std::string> all = {
        "up", "--model", kDemo, "--port", "0", "--state", state, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  TemporaryFolder folder_;
  RunningTrireme running_;
  std::string endpoint_;
  std::string url_;
};

}  // namespace trireme

// One life of a cluster: `trireme up` with the demo model on a state folder that outlives it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/client.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {

class ClusterLife {
 public:
  explicit ClusterLife(const std::string& state,
                       std::vector<std::string> more = {},
                       const std::string& port = "0")
      : running_(arguments(state, port, std::move(more))) {
    const std::string line = running_.wait_for("\"ready\"");
    EXPECT_NE(line, "") << running_.text();
    if (line.empty()) return;
    endpoint_ = nlohmann::json::parse(line)["endpoint"];
    connect();
  }

  void connect() {
    auto client = Client::connect(endpoint_, std::chrono::milliseconds(5'000));
    EXPECT_TRUE(client.ok()) << message_of(client.status());
    if (client.ok()) client_ = std::move(*client);
  }
  Client& client() { return *client_; }
  const std::string& endpoint() const { return endpoint_; }
  std::string port() const { return endpoint_.substr(endpoint_.rfind(':') + 1); }
  // 0: there is none.
  pid_t coordinator() {
    const auto found = running_.wait_for_descendants("trireme-coordinator", 1);
    EXPECT_EQ(found.size(), 1u) << running_.text();
    return found.empty() ? 0 : found[0];
  }
  // The next event of this name that `up` has printed.
  nlohmann::json event(const std::string& name) {
    const std::string line = running_.wait_for("\"" + name + "\"");
    EXPECT_NE(line, "") << "no " << name << " in " << running_.text();
    return line.empty() ? nlohmann::json() : nlohmann::json::parse(line);
  }
  void kill() {
    running_.signal(SIGKILL);
    running_.finish();
  }
  RunningTrireme& running() { return running_; }

 private:
  static std::vector<std::string> arguments(const std::string& state,
                                            const std::string& port,
                                            std::vector<std::string> more) {
    std::vector<std::string> all = {"up",
                                    "--model",
                                    kDemo,
                                    "--port",
                                    port,
                                    "--backend",
                                    "cpu",
                                    "--state",
                                    state,
                                    "--json",
                                    "-tp",
                                    "2",
                                    "--no-http"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  RunningTrireme running_;
  std::string endpoint_;
  std::unique_ptr<Client> client_;
};

}  // namespace trireme

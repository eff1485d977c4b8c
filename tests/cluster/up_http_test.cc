// The gateway of `trireme up` with a real cluster: its line, its restart, its drain, and the
// commands that the quickstart prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/text.h"
#include "launch/gateway_process.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace up_http_test {

using testing::HasSubstr;

constexpr char kStream[] =
    R"({"stream": true, "max_tokens": 600, "ignore_eos": true, "temperature": 0, )"
    R"("messages": [{"role": "user", "content": "What does Vec::push do?"}]})";

class Program {
 public:
  static constexpr int kWaitMs = 50;
  static constexpr int kMostWaits = 1'200;

  explicit Program(std::vector<std::string> arguments) {
    auto process = Process::start({std::move(arguments), {}, {}});
    EXPECT_TRUE(process.ok()) << message_of(process.status());
    if (process.ok()) process_ = std::move(*process);
  }
  // Its lines, after its end with status 0.
  std::string finish() {
    std::optional<int> status;
    for (int waits = 0; !status && waits < kMostWaits; ++waits) {
      status = process_.wait_exit(kWaitMs);
      process_.read_lines(lines_, lines_);  // it may wait for a reader
    }
    EXPECT_EQ(status, 0) << text().substr(0, 2000);
    return text();
  }
  void wait_for(const std::string& words) {
    for (int waits = 0; waits < kMostWaits && text().find(words) == std::string::npos; ++waits) {
      process_.wait_exit(kWaitMs);
    }
  }
  std::string text() {
    process_.read_lines(lines_, lines_);
    return join(lines_, "\n");
  }

 private:
  Process process_;
  std::vector<std::string> lines_;
};

// 503 and a refused connection are tried again.
Program curl(std::vector<std::string> arguments) {
  std::vector<std::string> all = {"curl",
                                  "-sSfN",
                                  "--retry",
                                  "30",
                                  "--retry-delay",
                                  "1",
                                  "--retry-connrefused",
                                  "--max-time",
                                  "60"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Program(std::move(all));
}

TEST(UpHttp, TheGatewayIsRestartedAtItsAddressAndFinishesItsStreams) {
  Served served({"--http-port", "0"});
  RunningTrireme& up = served.running();
  const std::string& url = served.url();
  ASSERT_NE(url, "") << up.text();
  EXPECT_THAT(curl({url + "/ready"}).finish(), HasSubstr("\"ok\""));
  EXPECT_THAT(curl({url + "/v1/models"}).finish(), HasSubstr("\"demo\""));

  const auto first = up.wait_for_descendants("trireme-gateway", 1);
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(::kill(first[0], SIGKILL), 0);
  EXPECT_THAT(curl({url + "/ready"}).finish(), HasSubstr("\"ok\""));
  const auto second = up.wait_for_descendants("trireme-gateway", 1);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0], first[0]);

  Program stream =
      curl({url + "/v1/chat/completions", "-H", "Content-Type: application/json", "-d", kStream});
  stream.wait_for("data: ");
  up.signal(SIGINT);
  const std::string events = stream.finish();
  EXPECT_THAT(events, HasSubstr("\"finish_reason\":\"length\""));
  EXPECT_THAT(events, testing::EndsWith("data: [DONE]\n"));
  const CommandResult end = up.finish();
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_FALSE(is_running(second[0]));
}

TEST(UpHttp, TheGatewayServesAgainOnceTheCoordinatorIsBack) {
  Served served({"--http-port", "0"});
  RunningTrireme& up = served.running();
  const std::string& url = served.url();
  ASSERT_NE(url, "") << up.text();
  const auto gateway = up.wait_for_descendants("trireme-gateway", 1);
  const auto coordinator = up.wait_for_descendants("trireme-coordinator", 1);
  ASSERT_EQ(coordinator.size(), 1u);
  ASSERT_EQ(::kill(coordinator[0], SIGKILL), 0);
  ASSERT_NE(up.wait_for("coordinator_back"), "") << up.text();
  ASSERT_NE(up.wait_for("group_ready"), "") << up.text();
  EXPECT_THAT(curl({url + "/ready"}).finish(), HasSubstr("\"ok\""));
  const std::string answer =
      curl({url + "/v1/chat/completions", "-H", "Content-Type: application/json", "-d", kStream})
          .finish();
  EXPECT_THAT(answer, HasSubstr("\"finish_reason\":\"length\""));
  EXPECT_EQ(up.descendants("trireme-gateway"), gateway) << "it was not restarted";
  up.signal(SIGINT);
  const CommandResult end = up.finish();
  EXPECT_EQ(end.status, 0) << end.err;
}

TEST(UpHttp, AnAddressThatOthersReachIsRefusedAndATakenPortIsSaid) {
  TemporaryFolder state;
  const CommandResult open = run_trireme(
      {"up", "--model", kDemo, "--port", "0", "--state", state.path(), "--http-host", "0.0.0.0"});
  EXPECT_EQ(open.status, 2) << open.err;
  EXPECT_THAT(open.err, HasSubstr("TRI-HTTP-054: "));
  RunningTrireme up(
      {"up", "--model", kDemo, "--port", "0", "--http-port", "0", "--state", state.path()});
  const std::string line = up.wait_for("http http://127.0.0.1:");
  ASSERT_NE(line, "") << up.text();
  const std::string port = line.substr(line.rfind(':') + 1);
  TemporaryFolder other;
  const CommandResult taken = run_trireme(
      {"up", "--model", kDemo, "--port", "0", "--state", other.path(), "--http-port", port});
  EXPECT_EQ(taken.status, 2) << taken.err;
  EXPECT_THAT(taken.err, HasSubstr("TRI-HTTP-050: "));
}

// The text between two lines of the script.
std::string printed_by_quickstart() {
  const std::string script = read_file(std::string(TRIREME_SOURCE_DIR) + "/launch/quickstart.sh");
  const size_t begin = script.find("<<'NEXT'\n") + 9;
  return script.substr(begin, script.find("\nNEXT\n", begin) - begin);
}

std::string between(const std::string& text, const std::string& first, const std::string& end) {
  const size_t at = text.find(first);
  if (at == std::string::npos) return "";
  return text.substr(at, text.find(end, at) - at);
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " in " << text;
  text.replace(at, from.size(), to);
}

TEST(UpHttp, TheCommandsOfTheQuickstartWorkAsPrinted) {
  const std::string text = printed_by_quickstart();
  std::string up_line = between(text, "build/bin/trireme up", "\n");
  std::string curl_line = between(text, "  curl ", "\nMore");
  // The doors may be taken on a machine that runs tests; the words are otherwise as printed.
  const int port = first_free_port("127.0.0.1", 18'000);
  replace(up_line, "build/bin/", std::string(TRIREME_BIN_DIR) + "/");
  replace(up_line, "--http-port 8000", format_text("--http-port {} --port 0", port));
  replace(curl_line, "127.0.0.1:8000", format_text("127.0.0.1:{}", port));
  TemporaryFolder state;
  const std::string folder = TRIREME_SOURCE_DIR;
  RunningTrireme shell(
      {},
      {"bash", "-c", format_text("cd {} && exec {} --state {} #", folder, up_line, state.path())});
  ASSERT_NE(shell.wait_for("http http://"), "") << shell.text();
  const std::string answer = Program({"bash", "-c", curl_line}).finish();
  EXPECT_THAT(answer, HasSubstr("\"chat.completion\""));
}

}  // namespace up_http_test
}  // namespace trireme

// The command line of the gateway, and the port that it gets.
#include "launch/gateway_process.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

namespace trireme {
namespace gateway_process_test {

using testing::HasSubstr;
using testing::Not;

GatewayFlags parsed(const std::vector<std::string>& arguments) {
  GatewayFlags flags;
  FlagSet set("up");
  add_gateway_flags(set, flags);
  EXPECT_TRUE(set.parse(arguments).ok());
  EXPECT_TRUE(check_gateway_flags(set, flags).ok());
  return flags;
}

std::string command(const std::vector<std::string>& arguments) {
  ClusterFlags cluster;
  const ProcessOptions options =
      gateway_command(cluster, parsed(arguments), "tcp://127.0.0.1:1", "log", 8123);
  return join(options.arguments, " ");
}

TEST(GatewayCommand, PassesItsFlagsOn) {
  EXPECT_THAT(command({}),
              HasSubstr("trireme-gateway --endpoint tcp://127.0.0.1:1 --http-host 127.0.0.1 "
                        "--http-port 8123 --no-insecure --no-accept-any-model --no-strict-api "
                        "--log-level info --log-file log"));
  EXPECT_THAT(command({"--api-key-file", "keys", "--strict-api", "--keep-alive-s", "5"}),
              HasSubstr("--strict-api --api-key-file keys --keep-alive-s 5 --log-level"));
}

TEST(GatewayFlags, KnowWhetherThePortWasGiven) {
  EXPECT_FALSE(parsed({}).port_is_given);
  EXPECT_TRUE(parsed({"--http-port", "8000"}).port_is_given);
  GatewayFlags flags;
  FlagSet set("up");
  add_gateway_flags(set, flags);
  EXPECT_TRUE(set.parse({"--http-port", "70000"}).ok());
  EXPECT_EQ(error_id(check_gateway_flags(set, flags)), "TRI-UP-002");
}

// Somebody else's socket on loopback.
class TakenPort {
 public:
  TakenPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    number = ntohs(address.sin_port);
  }
  ~TakenPort() { leave(); }
  TakenPort(const TakenPort&) = delete;
  void leave() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  int number = 0;

 private:
  int fd_;
};

class Notes final : public LaunchListener {
 public:
  void note(const std::string& text) override { notes.push_back(text); }
  void warn(const std::string& text) override { notes.push_back(text); }
  void progress(int64_t /*loaded_bytes*/, int64_t /*total_bytes*/) override {}
  void progress_ended() override {}

  std::vector<std::string> notes;
};

TEST(GatewayProcess, SaysWhichPortItTakesWhenItsDefaultIsTaken) {
  const TakenPort taken;
  ClusterFlags cluster;
  GatewayFlags flags;
  flags.port = taken.number;
  Notes listener;
  GatewayProcess process(cluster, flags, listener);
  // Whether the program itself is beside this test does not matter here.
  process.start("tcp://127.0.0.1:1", "").IgnoreError();
  ASSERT_EQ(listener.notes.size(), 1u);
  EXPECT_THAT(listener.notes[0],
              testing::StartsWith(
                  format_text("port {} is taken, HTTP clients are served on port ", taken.number)));
  EXPECT_THAT(listener.notes[0], Not(testing::EndsWith(format_text(" {}", taken.number))));
}

TEST(FirstFreePort, SkipsAPortOnWhichSomebodyListens) {
  TakenPort port;
  const int taken = port.number;
  EXPECT_GT(first_free_port("127.0.0.1", taken), taken);
  port.leave();
  EXPECT_EQ(first_free_port("127.0.0.1", taken), taken);
  EXPECT_EQ(first_free_port("no such host", taken), taken);
}

}  // namespace gateway_process_test
}  // namespace trireme

// Signals to the program: SIGHUP reads keys and certificates again, SIGTERM ends it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "launch/process/process.h"
#include "tests/http/tls_identity.h"

namespace trireme::gateway {
namespace signals_test {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int kWaitMs = 50;
constexpr int kMostWaits = 400;

// A gateway whose coordinator is not there.
class Signals : public testing::Test {
 protected:
  Signals() {
    std::string pattern = std::filesystem::temp_directory_path() / "trireme_signals_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    write_keys("alice sesame-1\n");
    renew_server("first.example");
    auto process = Process::start({{std::string(TRIREME_BIN_DIR) + "/trireme-gateway",
                                    "--endpoint",
                                    "tcp://127.0.0.1:1",
                                    "--http-port",
                                    "0",
                                    "--api-key-file",
                                    keys(),
                                    "--tls-cert",
                                    folder_ + "/cert.pem",
                                    "--tls-key",
                                    folder_ + "/key.pem"},
                                   {},
                                   {}});
    EXPECT_TRUE(process.ok()) << message_of(process.status());
    if (process.ok()) process_ = std::move(*process);
    const std::string line = line_with("http https://127.0.0.1:");
    const size_t colon = line.rfind(':');
    if (colon != std::string::npos) {
      std::from_chars(line.data() + colon + 1, line.data() + line.size(), port_);
    }
  }
  ~Signals() override { std::filesystem::remove_all(folder_); }

  std::string keys() const { return folder_ + "/keys"; }
  void write_keys(const std::string& text) {
    std::ofstream(keys()) << text;
    std::filesystem::permissions(keys(), std::filesystem::perms(0600));
  }
  void renew_server(const char* name) {
    write_files(make_identity(name), folder_ + "/cert.pem", folder_ + "/key.pem");
  }

  // The next line of the program with these words; "" after 20 s.
  std::string line_with(const std::string& words) {
    for (int waits = 0; waits < kMostWaits; ++waits) {
      process_.read_lines(lines_, lines_);
      for (; next_line_ < lines_.size(); ++next_line_) {
        if (lines_[next_line_].find(words) != std::string::npos) return lines_[next_line_++];
      }
      process_.wait_exit(kWaitMs);
    }
    ADD_FAILURE() << "no line with " << words << " in\n" << join(lines_, "\n");
    return "";
  }

  struct Answer {
    std::string text;
    std::string server;  // the name in its certificate
  };
  Answer ask(const std::string& key) const {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval longest{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd);
    Answer answer;
    if (SSL_connect(ssl.get()) == 1) {
      const std::unique_ptr<X509, decltype(&X509_free)> theirs(SSL_get1_peer_certificate(ssl.get()),
                                                               X509_free);
      answer.server = name_in(*theirs);
      const std::string request = format_text(
          "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx-api-key: "
          "{}\r\n\r\n",
          key);
      SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
      char buffer[4096];
      for (int size = 1; size > 0;) {
        size = SSL_read(ssl.get(), buffer, sizeof buffer);
        if (size > 0) answer.text.append(buffer, static_cast<size_t>(size));
      }
    }
    ::close(fd);
    return answer;
  }

  std::string folder_;
  Process process_;
  std::vector<std::string> lines_;
  size_t next_line_ = 0;
  int port_ = 0;
};

TEST_F(Signals, AHangUpReadsKeysAndCertificatesAgain) {
  // 503: the key is known, and there is no coordinator to name models.
  constexpr char kKnown[] = "HTTP/1.1 503 ";
  constexpr char kUnknown[] = "HTTP/1.1 401 ";
  const Answer first = ask("sesame-1");
  EXPECT_THAT(first.text, StartsWith(kKnown));
  EXPECT_EQ(first.server, "first.example");
  EXPECT_THAT(ask("sesame-2").text, StartsWith(kUnknown));

  write_keys("bob sesame-2\n");
  renew_server("second.example");
  process_.signal_group(SIGHUP);
  line_with("files_read_again");
  const Answer second = ask("sesame-2");
  EXPECT_THAT(second.text, StartsWith(kKnown));
  EXPECT_EQ(second.server, "second.example");
  EXPECT_THAT(ask("sesame-1").text, StartsWith(kUnknown));

  write_keys("no key\tof this form\n");
  process_.signal_group(SIGHUP);
  EXPECT_THAT(line_with("files_not_read_again"), HasSubstr("TRI-HTTP-052"));
  EXPECT_THAT(ask("sesame-2").text, StartsWith(kKnown));

  process_.signal_group(SIGTERM);
  EXPECT_EQ(process_.wait_exit(20'000), 0);
}

}  // namespace signals_test
}  // namespace trireme::gateway

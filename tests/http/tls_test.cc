// TLS of the server: requests over it, certificates of clients, files that are read again.
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/http/http_fixture.h"
#include "tests/http/tls_identity.h"

namespace trireme::gateway {
namespace tls_test {

using testing::HasSubstr;

class Tls : public HttpFixture {
 protected:
  Tls() {
    std::string pattern = std::filesystem::temp_directory_path() / "trireme_tls_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    options_.tls.certificate = folder_ + "/cert.pem";
    options_.tls.key = folder_ + "/key.pem";
    renew_server("first.example");
  }
  ~Tls() override { std::filesystem::remove_all(folder_); }

  void renew_server(const char* name) {
    write_files(make_identity(name), options_.tls.certificate, options_.tls.key);
  }

  struct Answer {
    std::string text;
    std::string server;  // the name in its certificate
  };
  // One request over TLS; the loop runs while the client waits. `identity`: the client's.
  Answer ask_over_tls(const std::string& request, const Identity* identity = nullptr) {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (identity != nullptr) {
      SSL_CTX_use_certificate(context.get(), identity->certificate.get());
      SSL_CTX_use_PrivateKey(context.get(), identity->key.get());
    }
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd);
    Answer answer;
    bool over = false;
    const auto try_once = [&](int result) {
      const int error = SSL_get_error(ssl.get(), result);
      if (result <= 0 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) over = true;
      return result > 0;
    };
    wait_until([&] { return try_once(SSL_connect(ssl.get())) || over; });
    if (!over) {
      const Certificate theirs(SSL_get1_peer_certificate(ssl.get()), X509_free);
      answer.server = name_in(*theirs);
      SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
    }
    wait_until([&] {
      char buffer[4096];
      const int size = over ? 0 : SSL_read(ssl.get(), buffer, sizeof buffer);
      if (!over && try_once(size)) answer.text.append(buffer, static_cast<size_t>(size));
      return over;
    });
    ::close(fd);
    return answer;
  }

  static constexpr char kLive[] =
      "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  std::string folder_;
};

TEST_F(Tls, RequestsAreAnsweredOverIt) {
  start();
  const Answer answer = ask_over_tls(kLive);
  EXPECT_THAT(answer.text, HasSubstr("{\"live\":true}"));
  EXPECT_EQ(answer.server, "first.example");
  EXPECT_EQ(status_of(ask_over_tls("GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                   "Origin: https://localhost\r\n\r\n")
                          .text),
            200);
}

TEST_F(Tls, PlainTextIsNoRequest) {
  start();
  Peer& plain = peer();
  plain.send(kLive);
  wait_until([&] { return plain.closed; });
  EXPECT_THAT(plain.received, testing::Not(HasSubstr("HTTP/1.1 200")));
}

TEST_F(Tls, AHandshakeThatStandsStillIsClosed) {
  start();
  Peer& silent = peer();
  wait_until([&] { return server_->num_connections() == 1; });
  clock_.advance_us(11'000'000);
  wait_until([&] { return silent.closed; });
  EXPECT_EQ(server_->num_connections(), 0);
}

TEST_F(Tls, ClientsNeedACertificateOfTheAuthority) {
  const Identity known = make_identity("known");
  const Identity other = make_identity("other");
  write_files(known, folder_ + "/ca.pem", folder_ + "/ca_key.pem");
  options_.tls.client_ca = folder_ + "/ca.pem";
  start();
  EXPECT_EQ(ask_over_tls(kLive).text, "");
  EXPECT_EQ(ask_over_tls(kLive, &other).text, "");
  EXPECT_THAT(ask_over_tls(kLive, &known).text, HasSubstr("{\"live\":true}"));
}

TEST_F(Tls, FilesAreReadAgainAndBadOnesChangeNothing) {
  start();
  renew_server("second.example");
  EXPECT_EQ(ask_over_tls(kLive).server, "first.example");
  EXPECT_TRUE(server_->read_tls_again().ok());
  EXPECT_EQ(ask_over_tls(kLive).server, "second.example");
  std::ofstream(options_.tls.key) << "no key";
  EXPECT_EQ(error_id(server_->read_tls_again()), "TRI-HTTP-051");
  EXPECT_EQ(ask_over_tls(kLive).server, "second.example");
}

TEST_F(Tls, AFileThatIsMissingIsNamed) {
  options_.tls.key = folder_ + "/none.pem";
  const GatewaySettings settings;
  Gateway gateway(settings, door_, clock_);
  const auto server = HttpServer::listen(options_, loop_, gateway, clock_);
  EXPECT_EQ(error_id(server.status()), "TRI-HTTP-051");
  EXPECT_THAT(message_of(server.status()), HasSubstr("none.pem"));
}

}  // namespace tls_test
}  // namespace trireme::gateway

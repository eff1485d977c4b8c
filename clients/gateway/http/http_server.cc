#include "clients/gateway/http/http_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ctime>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "clients/gateway/http/http_session.h"
#include "clients/gateway/http/refused_sockets.h"

namespace trireme::gateway {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kTick{250};
constexpr size_t kReadBytes = 4 << 10;
constexpr size_t kBodyReadBytes = 64 << 10;
constexpr int kBacklog = 1024;

StatusOr<std::shared_ptr<asio::ssl::context>> open_tls(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  Error error;
  const auto failed = [&](const char* what, const std::string& file) {
    return invalid("TRI-HTTP-051",
                   "{} {} cannot be used: {}; check the file and its permissions",
                   what,
                   file,
                   error.message());
  };
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1);
  // Without it a key that is encrypted would be asked for on the terminal.
  context->set_password_callback([](size_t, asio::ssl::context::password_purpose) { return ""; },
                                 error);
  context->use_certificate_chain_file(files.certificate, error);
  if (error) return failed("--tls-cert", files.certificate);
  context->use_private_key_file(files.key, asio::ssl::context::pem, error);
  if (error) return failed("--tls-key", files.key);
  if (files.client_ca.empty()) return context;
  context->load_verify_file(files.client_ca, error);
  if (error) return failed("--tls-client-ca", files.client_ca);
  context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  return context;
}

}  // namespace

// A socket with its session. Shared by the listener's list and the operations of the socket that
// have not ended.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Ended = std::function<void(Connection*)>;

  Connection(tcp::socket socket,
             std::shared_ptr<asio::ssl::context> tls,
             const HttpSession::Surroundings& around,
             Ended ended)
      : socket_(std::move(socket)),
        tls_context_(std::move(tls)),
        session_(around, [this] { on_output(); }),
        ended_(std::move(ended)) {
    if (tls_context_) tls_.emplace(socket_, *tls_context_);
  }

  void start() {
    Error error;
    socket_.set_option(tcp::no_delay(true), error);
    socket_.non_blocking(true, error);
    if (!tls_) return read();
    tls_->async_handshake(asio::ssl::stream_base::server,
                          [self = shared_from_this()](const Error& failed) {
                            if (failed) return self->close();
                            self->read();
                          });
  }

  HttpSession& session() { return session_; }
  void tick() {
    session_.tick();
    if (session_.is_over()) close();
  }

 private:
  void read() {
    if (is_reading_ || is_closed_ || !session_.wants_input()) return;
    is_reading_ = true;
    const size_t wanted = session_.wants_much_input() ? kBodyReadBytes : kReadBytes;
    if (buffer_.size() != wanted) {
      buffer_.resize(wanted);
      buffer_.shrink_to_fit();
    }
    auto done = [self = shared_from_this()](const Error& error, size_t bytes) {
      self->is_reading_ = false;
      self->on_read(error, bytes);
    };
    if (tls_) {
      tls_->async_read_some(asio::buffer(buffer_), std::move(done));
    } else {
      socket_.async_read_some(asio::buffer(buffer_), std::move(done));
    }
  }

  void on_read(const Error& error, size_t bytes) {
    if (is_closed_) return;
    if (error) {
      session_.receive_end();
    } else {
      session_.receive({buffer_.data(), bytes});
      read();
    }
    on_output();
  }

  // Writes what there is, ends the stream after the last answer, closes what is over.
  void on_output() {
    if (is_closed_) return;
    if (session_.is_over()) return close();
    if (is_writing_) return;
    output_ = session_.take_output();
    if (output_.empty()) {
      if (session_.ends_output()) end_output();
      return;
    }
    is_writing_ = true;
    written_ = 0;
    write_rest();
  }

  void write_rest() {
    const auto rest = asio::buffer(output_) + written_;
    auto done = [self = shared_from_this()](const Error& error, size_t bytes) {
      self->on_written(error, bytes);
    };
    if (tls_) {
      tls_->async_write_some(rest, std::move(done));
    } else {
      socket_.async_write_some(rest, std::move(done));
    }
  }

  void on_written(const Error& error, size_t bytes) {
    if (is_closed_) return;
    if (error) return close();
    session_.sent(bytes);
    if (is_closed_) return;
    written_ += bytes;
    if (written_ < output_.size()) return write_rest();
    is_writing_ = false;
    output_.clear();
    if (output_.capacity() > kBodyReadBytes) output_.shrink_to_fit();
    on_output();
    read();
  }

  void end_output() {
    if (is_ended_) return;
    is_ended_ = true;
    Error error;
    if (!tls_) {
      socket_.shutdown(tcp::socket::shutdown_send, error);
      return;
    }
    // The alert that nothing follows; its answer is not awaited.
    tls_->async_shutdown([self = shared_from_this()](const Error&) {
      Error ignored;
      self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
    });
  }

  void close() {
    if (std::exchange(is_closed_, true)) return;
    session_.abort("closed");
    Error error;
    socket_.close(error);
    ended_(this);
  }

  tcp::socket socket_;
  const std::shared_ptr<asio::ssl::context> tls_context_;
  std::optional<asio::ssl::stream<tcp::socket&>> tls_;
  HttpSession session_;
  const Ended ended_;
  std::vector<char> buffer_;
  std::string output_;  // being written
  size_t written_ = 0;  // bytes of `output_` that the socket has taken
  bool is_reading_ = false;
  bool is_writing_ = false;
  bool is_ended_ = false;
  bool is_closed_ = false;
};

class HttpServer::Listener {
 public:
  Listener(const HttpServerOptions& options, EventLoop& loop, HttpHandler& handler, Clock& clock)
      : options_(options),
        loop_(loop),
        handler_(handler),
        clock_(clock),
        acceptor_(loop.context()),
        timer_(loop.context()),
        refused_(options.limits.linger_us) {}

  ~Listener() {
    for (const auto& connection : all()) connection->session().abort("server_ends");
  }

  Status open() {
    if (options_.tls.is_used()) RETURN_IF_ERROR(read_tls());
    Error error;
    const auto failed = [&] {
      return invalid("TRI-HTTP-050",
                     "cannot listen on {} port {}: {}; choose with --http-host and --http-port",
                     options_.host,
                     options_.port,
                     error.message());
    };
    tcp::resolver resolver(loop_.context());
    const auto found = resolver.resolve(options_.host,
                                        format_text("{}", options_.port),
                                        tcp::resolver::passive | tcp::resolver::numeric_service,
                                        error);
    if (error || found.empty()) return failed();
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (error) return failed();
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
    acceptor_.bind(endpoint, error);
    if (error) return failed();
    acceptor_.listen(kBacklog, error);
    if (error) return failed();
    port_ = acceptor_.local_endpoint().port();
    accept();
    tick_later();
    return ok_status();
  }

  Status read_tls() {
    ASSIGN_OR_RETURN(tls_, open_tls(options_.tls));
    return ok_status();
  }

  void close() {
    Error error;
    acceptor_.close(error);
    refused_.close();
    for (const auto& connection : all()) {
      HttpSession& session = connection->session();
      if (!session.is_answering() && session.unsent_bytes() == 0) session.abort("server_ends");
    }
  }

  int port() const { return port_; }
  bool tls_is_used() const { return options_.tls.is_used(); }
  int num_connections() const { return static_cast<int>(connections_.size()); }

 private:
  void accept() {
    acceptor_.async_accept([this](const Error& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      // Out of descriptors: the next tick tries again.
      if (error) {
        accepts_ = false;
        return;
      }
      on_accepted(std::move(socket));
      accept();
    });
  }

  static std::string client_of(const tcp::socket& socket) {
    Error error;
    const tcp::endpoint far = socket.remote_endpoint(error);
    if (error) return {};
    asio::ip::address address = far.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    if (!address.is_loopback()) return address.to_string();
    return format_text("{}:{}", address.to_string(), far.port());
  }

  void on_accepted(tcp::socket socket) {
    if (num_connections() >= options_.limits.num_connections) return refuse(std::move(socket));
    const HttpSession::Surroundings around{
        options_.limits, handler_, clock_, all_bodies_bytes_, tls_ != nullptr, client_of(socket)};
    auto connection = std::make_shared<Connection>(
        std::move(socket), tls_, around, [this](Connection* ended) { connections_.erase(ended); });
    connections_.emplace(connection.get(), connection);
    connection->start();
  }

  // One write without waiting: a socket that was just accepted has room. TLS is spared its
  // handshake and is only closed.
  void refuse(tcp::socket socket) {
    if (tls_) return;
    const HttpRefusal refusal = {
        429,
        "TRI-HTTP-009",
        format_text("TRI-HTTP-009: the server has {} connections, which is its limit; close some",
                    options_.limits.num_connections)};
    const HttpResponse response = handler_.on_refusal({}, refusal);
    ResponseHead head{response.status, response.headers, response.content_type};
    head.content_length = static_cast<int64_t>(response.body.size());
    head.keeps_alive = false;
    head.date_s = std::time(nullptr);
    Error error;
    socket.non_blocking(true, error);
    socket.write_some(asio::buffer(write_head(head) + response.body), error);
    refused_.add(std::move(socket), clock_.now_us());
  }

  void tick_later() {
    timer_.expires_after(kTick);
    timer_.async_wait([this](const Error& error) {
      if (error) return;
      tick();
      tick_later();
    });
  }

  void tick() {
    refused_.tick(clock_.now_us());
    if (!std::exchange(accepts_, true) && acceptor_.is_open()) accept();
    for (const auto& connection : all()) connection->tick();
  }

  // A copy: a connection that ends removes itself from the map.
  std::vector<std::shared_ptr<Connection>> all() const {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections_.size());
    for (const auto& [key, connection] : connections_) all.push_back(connection);
    return all;
  }

  const HttpServerOptions options_;
  EventLoop& loop_;
  HttpHandler& handler_;
  Clock& clock_;
  tcp::acceptor acceptor_;
  asio::steady_timer timer_;
  RefusedSockets refused_;
  std::shared_ptr<asio::ssl::context> tls_;  // also held by the connections that began with it
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  int64_t all_bodies_bytes_ = 0;
  int port_ = 0;
  bool accepts_ = true;
};

HttpServer::HttpServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
HttpServer::~HttpServer() = default;

StatusOr<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpServerOptions& options,
                                                         EventLoop& loop,
                                                         HttpHandler& handler,
                                                         Clock& clock) {
  auto listener = std::make_unique<Listener>(options, loop, handler, clock);
  RETURN_IF_ERROR(listener->open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
}

int HttpServer::port() const { return listener_->port(); }
int HttpServer::num_connections() const { return listener_->num_connections(); }
Status HttpServer::read_tls_again() {
  return listener_->tls_is_used() ? listener_->read_tls() : ok_status();
}
void HttpServer::close() { listener_->close(); }

}  // namespace trireme::gateway

#include "clients/cpp/client_connection.h"

#include <utility>

namespace trireme {

ClientConnection::ClientConnection(std::unique_ptr<ClientConnector> connector,
                                   std::unique_ptr<ClientTransport> transport,
                                   const ClientOptions& options,
                                   WakeDescriptor wake)
    : options_(options),
      clock_(*options.clock),
      connector_(std::move(connector)),
      transport_(std::move(transport)),
      wake_(std::move(wake)),
      backoff_(in_us(options.first_retry), in_us(options.longest_retry), options.retry_seed) {
  if (transport_) {
    wake_.watch(transport_->descriptors());
  } else {
    retry_us_ = clock_.now_us();
  }
}

bool ClientConnection::start_if_due() {
  if (!retry_us_ || clock_.now_us() < *retry_us_) return false;
  auto transport = connector_->start();
  if (!transport.ok()) {
    retry_us_ = clock_.now_us() + backoff_.next_us();
    return false;
  }
  retry_us_.reset();
  transport_ = std::move(*transport);
  wake_.watch(transport_->descriptors());
  return true;
}

void ClientConnection::lose() {
  close();
  if (reconnects()) retry_us_ = clock_.now_us() + backoff_.next_us();
}

void ClientConnection::close() {
  wake_.watch({});
  transport_.reset();
  unsent_.clear();
  unsent_bytes_ = 0;
  retry_us_.reset();
}

void ClientConnection::send(std::string& frame) {
  flush();
  if (!transport_ || (unsent_.empty() && transport_->send(frame))) return;
  if (unsent_.empty()) waiting_since_us_ = clock_.now_us();
  unsent_bytes_ += static_cast<int64_t>(frame.size());
  unsent_.push_back(std::move(frame));
  frame.clear();
}

void ClientConnection::flush() {
  while (transport_ && !unsent_.empty() && transport_->send(unsent_.front())) {
    unsent_bytes_ -= static_cast<int64_t>(unsent_.front().size());
    unsent_.pop_front();
    waiting_since_us_ = clock_.now_us();
  }
}

std::optional<TimeUs> ClientConnection::stuck_us() const {
  if (unsent_.empty()) return std::nullopt;
  return waiting_since_us_ + in_us(options_.unsent_timeout);
}

StatusOr<std::optional<std::string>> ClientConnection::receive() {
  if (!transport_) return std::optional<std::string>();
  return transport_->receive();
}

void ClientConnection::update_descriptor(bool more) {
  wake_.set_armed(more || (transport_ && transport_->is_ready(has_unsent())));
}

}  // namespace trireme

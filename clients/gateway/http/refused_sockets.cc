#include "clients/gateway/http/refused_sockets.h"

#include <boost/asio/buffer.hpp>
#include <utility>

namespace trireme::gateway {

using boost::asio::ip::tcp;
using Error = boost::system::error_code;

namespace {

// Reads what has arrived, within a bound, without waiting. False: the client has closed.
bool drop_input(tcp::socket& socket) {
  constexpr int kMaxReads = 16;
  char dropped[4096];
  for (int i = 0; i < kMaxReads; ++i) {
    Error error;
    socket.read_some(boost::asio::buffer(dropped), error);
    if (error) return error == boost::asio::error::would_block;
  }
  return true;
}

}  // namespace

void RefusedSockets::add(tcp::socket socket, TimeUs now_us) {
  Error error;
  socket.shutdown(tcp::socket::shutdown_send, error);
  if (sockets_.size() >= kMaxSockets) tick(now_us);
  if (sockets_.size() < kMaxSockets) sockets_.push_back({std::move(socket), now_us});
}

void RefusedSockets::tick(TimeUs now_us) {
  sockets_.remove_if([&](Refused& refused) {
    return !drop_input(refused.socket) || now_us - refused.since_us > linger_us_;
  });
}

}  // namespace trireme::gateway

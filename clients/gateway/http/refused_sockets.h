// Sockets whose refusal was written before their request was read. They stay open for a moment, and
// what arrives is dropped: a close would make the kernel answer with a reset, and the client's
// kernel would drop the refusal. Used by the loop's thread.
// Invariant: at most kMaxSockets are open; one more is closed at once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <list>

#include "base/clock.h"

namespace trireme::gateway {

class RefusedSockets {
 public:
  explicit RefusedSockets(TimeUs linger_us) : linger_us_(linger_us) {}

  // Ends its output, too.
  void add(boost::asio::ip::tcp::socket socket, TimeUs now_us);
  // Closes those whose client has closed, and those whose time is over; a few times per second.
  void tick(TimeUs now_us);
  void close() { sockets_.clear(); }

 private:
  static constexpr size_t kMaxSockets = 16;  // few descriptors: they are none of the connections
  struct Refused {
    boost::asio::ip::tcp::socket socket;
    TimeUs since_us;
  };

  const TimeUs linger_us_;
  std::list<Refused> sockets_;
};

}  // namespace trireme::gateway

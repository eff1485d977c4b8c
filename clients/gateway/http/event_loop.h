// The one loop of the process: sockets, timers, signals and descriptors of others. Single thread;
// nothing called from it blocks. Hides the library of sockets, which few files include.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>  // before Asio 1.74, which uses std::exchange without it
#include <vector>

namespace boost::asio {
class io_context;
}

namespace trireme::gateway {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void run();  // until stop()
  void stop();
  // Handles what is due, after waiting up to `timeout` for the first.
  void run_for(std::chrono::milliseconds timeout);

  void every(std::chrono::milliseconds interval, std::function<void()> call);
  // Calls after each time that the descriptor becomes readable; `call` reads until it would wait.
  // Not owned: unwatch() comes before it is closed.
  void watch(int descriptor, std::function<void()> call);
  void unwatch(int descriptor);
  void on_signals(const std::vector<int>& signals, std::function<void(int)> call);

  boost::asio::io_context& context();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace trireme::gateway

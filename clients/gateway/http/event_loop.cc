#include "clients/gateway/http/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

namespace trireme::gateway {

namespace asio = boost::asio;
using Error = boost::system::error_code;

struct EventLoop::State {
  struct Timer {
    asio::steady_timer timer;
    std::chrono::milliseconds interval;
    std::function<void()> call;

    void start() {
      timer.expires_after(interval);
      timer.async_wait([this](const Error& error) {
        if (error) return;
        call();
        start();
      });
    }
  };
  struct Watch {
    asio::posix::stream_descriptor descriptor;
    std::function<void()> call;

    void start() {
      descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [this](const Error& error) {
        if (error) return;
        call();
        if (descriptor.is_open()) start();
      });
    }
  };
  struct Signals {
    asio::signal_set set;
    std::function<void(int)> call;

    void start() {
      set.async_wait([this](const Error& error, int signal) {
        if (error) return;
        start();
        call(signal);
      });
    }
  };

  asio::io_context context{1};
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<std::unique_ptr<Signals>> signals;
  std::map<int, std::unique_ptr<Watch>> watches;

  // Handlers that never ran are destroyed with the context, after what they point to.
  ~State() {
    context.stop();
    for (auto& [number, watch] : watches) watch->descriptor.release();
  }
};

EventLoop::EventLoop() : state_(std::make_unique<State>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  const auto work = asio::make_work_guard(state_->context);
  state_->context.run();
}

void EventLoop::stop() { state_->context.stop(); }

void EventLoop::run_for(std::chrono::milliseconds timeout) {
  state_->context.restart();
  const auto work = asio::make_work_guard(state_->context);
  if (state_->context.poll() == 0 && state_->context.run_one_for(timeout) > 0) {
    state_->context.poll();
  }
}

void EventLoop::every(std::chrono::milliseconds interval, std::function<void()> call) {
  state_->timers.emplace_back(
      new State::Timer{asio::steady_timer(state_->context), interval, std::move(call)});
  state_->timers.back()->start();
}

void EventLoop::watch(int descriptor, std::function<void()> call) {
  auto& watch = state_->watches[descriptor];
  watch.reset(new State::Watch{asio::posix::stream_descriptor(state_->context, descriptor),
                               std::move(call)});
  watch->start();
}

void EventLoop::unwatch(int descriptor) {
  const auto found = state_->watches.find(descriptor);
  if (found == state_->watches.end()) return;
  found->second->descriptor.cancel();
  found->second->descriptor.release();
  // Its cancelled handler points to it and runs later.
  std::shared_ptr<State::Watch> watch = std::move(found->second);
  asio::post(state_->context, [watch] {});
  state_->watches.erase(found);
}

void EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> call) {
  state_->signals.emplace_back(
      new State::Signals{asio::signal_set(state_->context), std::move(call)});
  for (const int signal : signals) state_->signals.back()->set.add(signal);
  state_->signals.back()->start();
}

boost::asio::io_context& EventLoop::context() { return state_->context; }

}  // namespace trireme::gateway

// A fixed set of threads that run one function at a time; the caller is member 0. Waiting members
// spin for some microseconds, then sleep on a futex, so that ranks which share cores do not starve
// each other. Used by one thread. Allocates in the constructor only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace trireme {

class ThreadPool {
 public:
  using Work = void (*)(void* context, int member, int num_members);

  explicit ThreadPool(int num_members);
  ~ThreadPool();

  // 0, or errno of the thread that could not be started: the pool has fewer members than wanted.
  int start_error() const { return start_error_; }
  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls work(context, member, size()) once per member and returns when all are done.
  void run(Work work, void* context);

  // The same for a callable with (member, num_members).
  template <class Callable>
  void run(const Callable& callable) {
    run(
        [](void* context, int member, int num_members) {
          (*static_cast<const Callable*>(context))(member, num_members);
        },
        const_cast<Callable*>(&callable));
  }

 private:
  void member_loop(int member);

  Work work_ = nullptr;
  void* context_ = nullptr;
  std::atomic<uint32_t> generation_{0};  // counts runs; members sleep on it
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  int start_error_ = 0;
};

}  // namespace trireme

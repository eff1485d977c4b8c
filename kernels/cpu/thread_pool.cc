#include "kernels/cpu/thread_pool.h"

#include <chrono>
#include <system_error>

namespace trireme {

namespace {

constexpr auto kSpin = std::chrono::microseconds(20);

void pause_cpu() { __builtin_ia32_pause(); }

// Spins until changed() returns true or the spin time is over. Returns whether it changed.
template <class Predicate>
bool spin_until(Predicate changed) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (changed()) return true;
      pause_cpu();
    }
  } while (std::chrono::steady_clock::now() < end);
  return changed();
}

}  // namespace

ThreadPool::ThreadPool(int num_members) {
  try {
    for (int member = 1; member < num_members; ++member) {
      threads_.emplace_back([this, member] { member_loop(member); });
    }
  } catch (const std::system_error& refused) {
    start_error_ = refused.code().value();
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(Work work, void* context) {
  if (threads_.empty()) return work(context, 0, 1);
  work_ = work;
  context_ = context;
  running_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(context, 0, size());
  const auto is_done = [this] { return running_.load(std::memory_order_acquire) == 0; };
  while (!spin_until(is_done)) {
    const int left = running_.load(std::memory_order_acquire);
    if (left != 0) running_.wait(left, std::memory_order_acquire);
  }
}

void ThreadPool::member_loop(int member) {
  uint32_t seen = 0;
  while (true) {
    const auto has_work = [&] { return generation_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(has_work)) generation_.wait(seen, std::memory_order_acquire);
    if (!has_work()) continue;
    ++seen;
    if (stopping_.load()) return;
    work_(context_, member, size());
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace trireme

// A cooperative thread with its own stack; runs until it switches away. Fibers of a pool stay on
// the OS thread that created them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace trireme::emulation {

class Fiber {
 public:
  Fiber();  // represents the calling OS thread and its stack
  Fiber(std::byte* stack, size_t bytes, size_t colour);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Sets the function that the next switch to this fiber runs. `entry` ends by switching away; the
  // next switch after another start() makes that call return.
  void start(void (*entry)(void*), void* argument) {
    entry_ = entry;
    argument_ = argument;
  }

  // Suspends `from`, the running fiber, and resumes `to`.
  static void switch_to(Fiber& from, Fiber& to);

  [[noreturn]] void loop();  // runs on this fiber's stack

 private:
  void* stack_pointer_ = nullptr;
  const void* bottom_ = nullptr;  // lowest address of the stack
  size_t bytes_ = 0;
  void* sanitizer_state_ = nullptr;  // ASan: suspended fake stack; TSan: its fiber
  bool is_thread_ = false;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
};

// A pool of idle fibers. Each stack has an inaccessible page below it.
class FiberPool {
 public:
  FiberPool() = default;
  ~FiberPool();
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;

  Fiber& take();
  void give_back(Fiber& fiber) { idle_.push_back(&fiber); }

 private:
  void grow();

  std::vector<std::byte*> slabs_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

}  // namespace trireme::emulation

// A thread of control with a stack of its own that runs until it hands over. Fibers of one pool
// stay on the OS thread that made them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace trireme::emulation {

class Fiber {
 public:
  Fiber();  // the calling OS thread's own stack
  Fiber(std::byte* stack, size_t bytes, size_t colour);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // What runs at the next switch to this fiber. `entry` ends by switching away; if it is switched
  // to again after another start(), it returns.
  void start(void (*entry)(void*), void* argument) {
    entry_ = entry;
    argument_ = argument;
  }

  // Leaves `from`, which is running, and goes on with `to`.
  static void switch_to(Fiber& from, Fiber& to);

  [[noreturn]] void loop();  // of the fiber itself

 private:
  void* stack_pointer_ = nullptr;
  const void* bottom_ = nullptr;  // the lowest address
  size_t bytes_ = 0;
  void* sanitizer_state_ = nullptr;  // ASan: the suspended fake stack; TSan: its fiber
  bool is_thread_ = false;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
};

// Idle fibers; each stack has a page without access below it.
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

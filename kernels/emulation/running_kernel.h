// A kernel launch in progress. Blocks run one after another in the seeded order, and several at
// once only when those in progress spin, as many as the multiprocessors hold. Used by the OS thread
// of its device.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/emulation/block.h"

namespace trireme::emulation {

// Idle blocks and stacks, for the next launch.
struct ExecutionPool {
  FiberPool fibers;
  std::vector<std::unique_ptr<Block>> idle_blocks;
};

class RunningKernel {
 public:
  // Lets other work of the device run. `is_idle`: this kernel could only spin.
  using Yield = std::function<void(bool is_idle)>;

  RunningKernel(std::shared_ptr<const Kernel> kernel, ExecutionPool& pool, uint64_t seed);
  ~RunningKernel();

  // Runs the first blocks of a programmatic launch, before its predecessor ends, up to
  // dependency_wait().
  void run_ahead(Fiber& runner);
  void run(Fiber& runner, const Yield& yield);

 private:
  void start_block();
  void retire(std::unique_ptr<Block> block);
  void spin(const Yield& yield);
  // Runs each block in progress once. Returns whether anything but spinning happened.
  bool run_once(Fiber& runner);
  bool may_start_more() const { return next_block_ < order_.size(); }

  std::shared_ptr<const Kernel> kernel_;
  ExecutionPool& pool_;
  Random random_;
  std::vector<uint32_t> order_;
  size_t next_block_ = 0;
  size_t num_wanted_ = 1;  // concurrent blocks
  size_t max_at_once_ = 1;
  size_t num_ended_ = 0;
  bool is_dependency_met_ = false;
  DelayedStores delayed_stores_;   // of ended blocks
  DelayedStores released_stores_;  // for other blocks, not yet acquired by one
  bool has_waited_ = false;        // a thread called dependency_wait()
  std::chrono::steady_clock::time_point last_progress_;
  std::vector<std::unique_ptr<Block>> running_;
};

}  // namespace trireme::emulation

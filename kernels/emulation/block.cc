#include "kernels/emulation/block.h"

#include <algorithm>
#include <numeric>

#include "kernels/emulation/control.h"

constinit thread_local uint3 blockIdx = {};
constinit thread_local dim3 blockDim = {};
constinit thread_local dim3 gridDim = {};

namespace trireme::emulation {

constinit thread_local Thread* current_thread = nullptr;

Block::Block(FiberPool& pool) : pool_(pool) {}

Block::~Block() { release_shared(); }

int Block::lanes_of(int warp) const {
  return std::min(kWarpLanes, num_threads() - warp * kWarpLanes);
}

void Block::start(const Kernel& kernel,
                  uint64_t linear_index,
                  bool is_dependency_met,
                  uint64_t seed,
                  DelayedStores& released) {
  kernel_ = &kernel;
  released_stores_ = &released;
  linear_index_ = linear_index;
  index_ = {static_cast<unsigned>(linear_index % kernel.grid.x),
            static_cast<unsigned>(linear_index / kernel.grid.x % kernel.grid.y),
            static_cast<unsigned>(linear_index / kernel.grid.x / kernel.grid.y)};
  random_ = Random(seed);
  num_threads_ = kernel.num_threads();
  is_dependency_met_ = is_dependency_met;
  has_called_dependency_wait_ = false;
  num_done_ = 0;
  idle_spins_ = 0;
  barriers_ = {};
  if (threads_.size() < num_threads_) threads_.resize(num_threads_);
  warps_.assign((num_threads_ + kWarpLanes - 1) / kWarpLanes, {});
  size_t ring = 1;
  while (ring < num_threads_) ring *= 2;
  ready_.assign(ring, nullptr);
  first_ready_ = num_ready_ = 0;
  prepare_shared();
  take_settings();
  for (size_t i = 0; i < num_threads_; ++i) prepare(threads_[i], static_cast<unsigned>(i));
  in_order([&](Thread& thread) { push_back(thread); });
}

void Block::prepare(Thread& thread, unsigned linear) {
  const dim3& shape = kernel_->block;
  thread.index = {linear % shape.x, linear / shape.x % shape.y, linear / shape.x / shape.y};
  thread.block = this;
  thread.fiber = &pool_.take();
  thread.linear = static_cast<int>(linear);
  thread.wait = Wait::kNothing;
  thread.copies.clear();
  thread.copy_groups.clear();
  thread.fiber->start(&Block::thread_main, &thread);
}

void Block::take_settings() {
  const Settings now = settings();
  order_ = now.order;
  truncates_sums_ = now.truncates_sums;
  warp_order_.resize(warps_.size());
  std::iota(warp_order_.begin(), warp_order_.end(), 0);
  std::iota(lane_order_.begin(), lane_order_.end(), 0);
  if (order_ == Order::kReverse) {
    std::reverse(warp_order_.begin(), warp_order_.end());
    std::reverse(lane_order_.begin(), lane_order_.end());
  } else if (order_ == Order::kRandom) {
    random_.shuffle(warp_order_, warp_order_.size());
    random_.shuffle(lane_order_, kWarpLanes);
  }
}

// Visits all threads in the launch's order; a random order is rotated at each visit.
template <class Visit>
void Block::in_order(Visit visit) {
  const bool is_random = order_ == Order::kRandom;
  const size_t warp_turn = is_random ? random_.below(warps_.size()) : 0;
  const size_t lane_turn = is_random ? random_.below(kWarpLanes) : 0;
  for (size_t w = 0; w < warps_.size(); ++w) {
    const int warp = warp_order_[(w + warp_turn) % warps_.size()];
    const int lanes = lanes_of(warp);
    for (size_t l = 0; l < kWarpLanes; ++l) {
      const int lane = lane_order_[(l + lane_turn) % kWarpLanes];
      if (lane < lanes) visit(threads_[size_t{kWarpLanes} * warp + lane]);
    }
  }
}

void Block::push_back(Thread& thread) {
  ready_[(first_ready_ + num_ready_++) & (ready_.size() - 1)] = &thread;
}

void Block::push_front(Thread& thread) {
  first_ready_ = (first_ready_ + ready_.size() - 1) & (ready_.size() - 1);
  ready_[first_ready_] = &thread;
  ++num_ready_;
}

Thread* Block::pop() {
  if (num_ready_ == 0) return nullptr;
  Thread* thread = ready_[first_ready_];
  first_ready_ = (first_ready_ + 1) & (ready_.size() - 1);
  --num_ready_;
  return thread;
}

// Suspends the running thread and resumes the next runnable one, or the caller of run() if there is
// none. Returns when this thread is resumed.
void Block::leave(Thread& thread) {
  Thread* next = pop();
  if (next == &thread) return;
  current_thread = next;
  if (next == nullptr) result_ = num_done_ == num_threads() ? Result::kFinished : Result::kStuck;
  Fiber::switch_to(*thread.fiber, next != nullptr ? *next->fiber : *runner_);
}

void Block::hand_back(Thread& thread, Result result) {
  result_ = result;
  current_thread = nullptr;
  Fiber::switch_to(*thread.fiber, *runner_);
}

void Block::thread_main(void* argument) {
  Thread& thread = *static_cast<Thread*>(argument);
  Block& block = *thread.block;
  block.kernel_->body();
  block.finish_copies(0);
  thread.wait = Wait::kDone;
  ++block.num_done_;
  block.idle_spins_ = 0;
  block.leave(thread);
}

Block::Result Block::run(Fiber& runner, bool preempts) {
  preempts_ = preempts;
  runner_ = &runner;
  blockIdx = index_;
  blockDim = kernel_->block;
  gridDim = kernel_->grid;
  Thread* next = pop();
  if (next != nullptr) {
    current_thread = next;
    Fiber::switch_to(runner, *next->fiber);
    current_thread = nullptr;
  } else {
    result_ = Result::kStuck;
  }
  if (result_ == Result::kFinished) {
    finish();
  } else if (result_ == Result::kStuck) {
    if (is_dependency_met_) fail("deadlock: no thread can go on\n" + waiters());
    result_ = Result::kAtDependency;
  }
  return result_;
}

void Block::finish() {
  check_shared();
  for (size_t i = 0; i < num_threads_; ++i) pool_.give_back(*threads_[i].fiber);
}

void Block::meet_dependency() {
  is_dependency_met_ = true;
  in_order([&](Thread& thread) {
    if (thread.wait != Wait::kDependency) return;
    thread.wait = Wait::kNothing;
    push_back(thread);
  });
}

void Block::barrier(int id, int num_expected) {
  if (id < 0 || id >= kNumBarriers) fail("no barrier has this number");
  Barrier& barrier = barriers_[static_cast<size_t>(id)];
  if (num_expected % kWarpLanes != 0 && id != 0) fail("a named barrier is of whole warps");
  if (barrier.arrived == 0) barrier.expected = num_expected;
  if (barrier.expected != num_expected) fail("a barrier's threads disagree on how many they are");
  Thread& self = *current_thread;
  self.wait = Wait::kBarrier;
  self.barrier = id;
  idle_spins_ = 0;
  if (++barrier.arrived == num_expected) {
    barrier.arrived = 0;
    if (num_expected == num_threads()) delayed_stores_.order();
    in_order([&](Thread& thread) {
      if (thread.wait != Wait::kBarrier || thread.barrier != id) return;
      thread.wait = Wait::kNothing;
      push_back(thread);
    });
    if (preempts_) return hand_back(self, Result::kPreempted);
  }
  leave(self);
}

void Block::warp_operation(const char* name, void* deposit, Complete complete) {
  Thread& self = *current_thread;
  Warp& warp = warps_[static_cast<size_t>(self.warp())];
  if (warp.arrived == 0) warp.operation = name;
  if (warp.operation != name) {
    fail(std::string("lanes of one warp meet at different operations: ") + warp.operation +
         " and " + name);
  }
  warp.deposits[static_cast<size_t>(self.lane())] = deposit;
  self.wait = Wait::kWarp;
  idle_spins_ = 0;
  const int lanes = lanes_of(self.warp());
  if (++warp.arrived == lanes) {
    if (complete != nullptr) complete(warp.deposits.data(), lanes);
    release_warp(self.warp());
  }
  leave(self);
}

// The warp continues at once, so that warps run far apart between block barriers; in random order
// it sometimes lets the others run first.
void Block::release_warp(int warp) {
  warps_[static_cast<size_t>(warp)].arrived = 0;
  const bool at_front = order_ != Order::kRandom || random_.below(4) != 0;
  const int lanes = lanes_of(warp);
  Thread* first = &threads_[size_t{kWarpLanes} * warp];
  for (size_t i = 0; i < kWarpLanes; ++i) {
    const int lane = lane_order_[at_front ? kWarpLanes - 1 - i : i];
    if (lane >= lanes) continue;
    first[lane].wait = Wait::kNothing;
    at_front ? push_front(first[lane]) : push_back(first[lane]);
  }
}

void Block::dependency_wait() {
  has_called_dependency_wait_ = true;
  if (is_dependency_met_) return;
  current_thread->wait = Wait::kDependency;
  leave(*current_thread);
}

void Block::spin() {
  Thread& self = *current_thread;
  push_back(self);
  if (++idle_spins_ < num_ready_) return leave(self);
  idle_spins_ = 0;
  hand_back(self, Result::kSpinning);
}

}  // namespace trireme::emulation

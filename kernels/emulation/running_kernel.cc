#include "kernels/emulation/running_kernel.h"

#include <algorithm>
#include <numeric>

#include "kernels/emulation/control.h"

namespace trireme::emulation {
namespace {

constexpr size_t kBlocksAhead = 2;

}  // namespace

RunningKernel::RunningKernel(std::shared_ptr<const Kernel> kernel,
                             ExecutionPool& pool,
                             uint64_t seed)
    : kernel_(std::move(kernel)), pool_(pool), random_(seed), order_(kernel_->num_blocks()) {
  const Settings now = settings();
  std::iota(order_.begin(), order_.end(), 0);
  if (now.order == Order::kReverse) std::reverse(order_.begin(), order_.end());
  if (now.order == Order::kRandom) random_.shuffle(order_, order_.size());
  const auto threads = static_cast<int>(kernel_->num_threads());
  const int resident = resident_blocks(threads, static_cast<int64_t>(kernel_->shared_bytes));
  max_at_once_ =
      static_cast<size_t>(now.num_multiprocessors) * static_cast<size_t>(std::max(resident, 1));
  num_wanted_ = std::min(static_cast<size_t>(now.blocks_in_flight), max_at_once_);
  if (kernel_->is_cooperative) num_wanted_ = max_at_once_;
}

RunningKernel::~RunningKernel() = default;

void RunningKernel::start_block() {
  if (pool_.idle_blocks.empty()) pool_.idle_blocks.push_back(std::make_unique<Block>(pool_.fibers));
  running_.push_back(std::move(pool_.idle_blocks.back()));
  pool_.idle_blocks.pop_back();
  running_.back()->start(
      *kernel_, order_[next_block_++], is_dependency_met_, random_.next(), released_stores_);
}

void RunningKernel::retire(std::unique_ptr<Block> block) {
  has_waited_ |= block->has_called_dependency_wait();
  if (++num_ended_ == order_.size() && kernel_->overlaps && !has_waited_) {
    block->fail("launched to overlap its predecessor, and no thread called dependency_wait()");
  }
  delayed_stores_.take(block->delayed_stores());
  pool_.idle_blocks.push_back(std::move(block));
}

void RunningKernel::run_ahead(Fiber& runner) {
  const size_t count = std::min(kBlocksAhead, order_.size());
  for (size_t i = 0; i < count; ++i) {
    start_block();
    if (running_.back()->run(runner, false) == Block::Result::kFinished) {
      retire(std::move(running_.back()));
      running_.pop_back();
    }
  }
}

bool RunningKernel::run_once(Fiber& runner) {
  bool has_progress = false;
  for (size_t i = 0; i < running_.size();) {
    const Block::Result result = running_[i]->run(runner, running_.size() > 1);
    has_progress |= result != Block::Result::kSpinning;
    if (result != Block::Result::kFinished) {
      ++i;
      continue;
    }
    retire(std::move(running_[i]));
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
  }
  return has_progress;
}

// All blocks in progress spin: nothing outside the kernel has satisfied their waits yet.
void RunningKernel::spin(const Yield& yield) {
  const auto idle = std::chrono::steady_clock::now() - last_progress_;
  if (idle > std::chrono::seconds(settings().spin_limit_s)) {
    running_.front()->fail_waiting("spins in vain for " + std::to_string(settings().spin_limit_s) +
                                   " s");
  }
  yield(true);
}

void RunningKernel::run(Fiber& runner, const Yield& yield) {
  is_dependency_met_ = true;
  last_progress_ = std::chrono::steady_clock::now();
  for (const std::unique_ptr<Block>& block : running_) block->meet_dependency();
  while (may_start_more() || !running_.empty()) {
    while (may_start_more() && running_.size() < num_wanted_) start_block();
    if (run_once(runner)) {
      last_progress_ = std::chrono::steady_clock::now();
      yield(false);
    } else if (may_start_more() && num_wanted_ < max_at_once_) {
      ++num_wanted_;
    } else {
      spin(yield);
    }
  }
  released_stores_.arrive_all(random_);
  delayed_stores_.arrive_all(random_);
}

}  // namespace trireme::emulation

// The report that a block prints when a kernel breaks a rule.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "kernels/emulation/block.h"
#include "kernels/emulation/symbols.h"

namespace trireme::emulation {
namespace {

// Formats numbers as ranges: "0-31" or "0-3 8".
std::string ranges(const std::vector<int>& sorted) {
  std::string text;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i + 1;
    while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
    if (!text.empty()) text += ' ';
    text += std::to_string(sorted[i]);
    if (end - i > 1) text += '-' + std::to_string(sorted[end - 1]);
    i = end;
  }
  return text;
}

std::string triple(unsigned x, unsigned y, unsigned z) {
  return '(' + std::to_string(x) + ',' + std::to_string(y) + ',' + std::to_string(z) + ')';
}

}  // namespace

std::string Block::place() const {
  std::string text = "kernel " + symbol_name(kernel_->function) + ", block " +
                     triple(index_.x, index_.y, index_.z) + " of " +
                     triple(kernel_->grid.x, kernel_->grid.y, kernel_->grid.z);
  if (current_thread != nullptr) {
    text += ", warp " + std::to_string(current_thread->warp()) + " lane " +
            std::to_string(current_thread->lane());
  }
  return text;
}

std::string Block::waits_for(const Thread& thread) const {
  switch (thread.wait) {
    case Wait::kNothing:
      return "run";
    case Wait::kDone:
      return "have ended";
    case Wait::kDependency:
      return "wait in dependency_wait()";
    case Wait::kWarp: {
      const Warp& warp = warps_[static_cast<size_t>(thread.warp())];
      return std::string("wait at ") + warp.operation + " (" + std::to_string(warp.arrived) +
             " of " + std::to_string(lanes_of(thread.warp())) + " lanes arrived)";
    }
    case Wait::kBarrier:
      break;
  }
  const Barrier& barrier = barriers_[static_cast<size_t>(thread.barrier)];
  const std::string name = thread.barrier == 0 ? std::string("__syncthreads()")
                                               : "named_barrier " + std::to_string(thread.barrier);
  return "wait at " + name + " (" + std::to_string(barrier.arrived) + " of " +
         std::to_string(barrier.expected) + " threads arrived)";
}

std::string Block::waiters() const {
  std::string text;
  for (size_t warp = 0; warp < warps_.size(); ++warp) {
    std::map<std::string, std::vector<int>> lanes;
    for (int lane = 0; lane < lanes_of(static_cast<int>(warp)); ++lane) {
      const size_t thread = warp * kWarpLanes + static_cast<size_t>(lane);
      lanes[waits_for(threads_[thread])].push_back(lane);
    }
    for (const auto& [wait, which] : lanes) {
      text += "  warp " + std::to_string(warp) + " lanes " + ranges(which) + ": " + wait + "\n";
    }
  }
  return text;
}

void Block::fail(const std::string& words) const {
  fprintf(stderr, "emulated CUDA: %s: %s\n", place().c_str(), words.c_str());
  fflush(stderr);
  abort();
}

}  // namespace trireme::emulation

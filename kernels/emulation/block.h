// One block of a running kernel. Its threads are fibers that switch at barriers, warp operations
// and spins. Used by the OS thread of its device. Invariant: a thread is in the ready ring at most
// once, and only while it waits for nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/emulation/delayed_stores.h"
#include "kernels/emulation/fiber.h"
#include "kernels/emulation/random.h"
#include "kernels/emulation/vector_types.h"

// Indices of the block that runs on this OS thread.
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;

namespace trireme::emulation {

constexpr int kWarpLanes = 32;
constexpr int kNumBarriers = 16;

// The order in which runnable lanes, warps and blocks are taken.
enum class Order : uint8_t { kForward, kReverse, kRandom };

// A kernel with its arguments, as enqueued or captured.
struct Kernel {
  const void* function = nullptr;
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;
  bool overlaps = false;
  bool is_cooperative = false;
  std::function<void()> body;

  unsigned num_threads() const { return block.x * block.y * block.z; }
  uint64_t num_blocks() const { return uint64_t{grid.x} * grid.y * grid.z; }
};

class Block;

// A pending copy of copy_async_16().
struct AsyncCopy {
  std::byte* to;
  const std::byte* from;
  int32_t source_bytes;
};

enum class Wait : uint8_t { kNothing, kBarrier, kWarp, kDependency, kDone };

struct Thread {
  uint3 index;  // threadIdx
  Block* block = nullptr;
  Fiber* fiber = nullptr;
  int linear = 0;
  Wait wait = Wait::kNothing;
  int barrier = 0;                  // its number, if the thread waits at one
  std::vector<AsyncCopy> copies;    // oldest first
  std::vector<size_t> copy_groups;  // end of each closed group in `copies`

  int lane() const { return linear % kWarpLanes; }
  int warp() const { return linear / kWarpLanes; }
};

// The emulated thread running on this OS thread; null outside kernels.
extern constinit thread_local Thread* current_thread;

class Block {
 public:
  enum class Result : uint8_t { kFinished, kSpinning, kPreempted, kAtDependency, kStuck };
  // Computes a warp operation for all lanes from the operands each has deposited.
  using Complete = void (*)(void* const* deposits, int lanes);

  explicit Block(FiberPool& pool);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // `released` receives the stores for other blocks of the launch that the block releases.
  void start(const Kernel& kernel,
             uint64_t linear_index,
             bool is_dependency_met,
             uint64_t seed,
             DelayedStores& released);
  // Runs until the block ends or yields. `preempts`: also yields at block barriers.
  Result run(Fiber& runner, bool preempts);
  void meet_dependency();
  bool has_called_dependency_wait() const { return has_called_dependency_wait_; }
  // The stores of an ended block that others do not see yet.
  DelayedStores& delayed_stores() { return delayed_stores_; }
  // Ends the process with a report of what each lane waits for.
  [[noreturn]] void fail_waiting(const std::string& words) const { fail(words + '\n' + waiters()); }

  // --- called by the running thread --------------------------------------------------------------
  void barrier(int id, int num_threads);
  void warp_operation(const char* name, void* deposit, Complete complete);
  void dependency_wait();
  void spin();
  std::byte* shared_memory(size_t bytes) const;
  bool is_shared(const void* pointer, size_t bytes) const;
  void start_copy(const AsyncCopy& copy);
  void end_copy_group();
  void finish_copies(int pending_groups);
  // A plain store whose readers are those of `scope`.
  void store_delayed(void* to, const void* value, size_t bytes, Scope scope);
  void load_peer(const void* from, void* value, size_t bytes) const;
  void release_stores(Scope scope);
  void acquire_stores();

  // Prints the error and the thread that made it, and ends the process.
  [[noreturn]] void fail(const std::string& words) const;
  const Kernel& kernel() const { return *kernel_; }
  bool truncates_sums() const { return truncates_sums_; }
  Random& random() { return random_; }

 private:
  struct Barrier {
    int expected = 0;
    int arrived = 0;
  };
  struct Warp {
    const char* operation = nullptr;
    int arrived = 0;
    std::array<void*, kWarpLanes> deposits;
  };

  static void thread_main(void* argument);

  int num_threads() const { return static_cast<int>(num_threads_); }
  int lanes_of(int warp) const;
  void prepare(Thread& thread, unsigned linear);
  void take_settings();
  template <class Visit>
  void in_order(Visit visit);
  void push_back(Thread& thread);
  void push_front(Thread& thread);
  Thread* pop();
  void leave(Thread& thread);
  void hand_back(Thread& thread, Result result);
  void release_warp(int warp);
  void finish();
  void prepare_shared();
  void release_shared();
  void check_shared() const;
  std::string place() const;
  std::string waits_for(const Thread& thread) const;
  std::string waiters() const;

  FiberPool& pool_;
  const Kernel* kernel_ = nullptr;
  uint64_t linear_index_ = 0;
  uint3 index_ = {};
  Random random_{0};
  Order order_ = Order::kForward;
  bool truncates_sums_ = false;
  size_t num_threads_ = 0;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<int> warp_order_;
  std::array<int, kWarpLanes> lane_order_;
  std::array<Barrier, kNumBarriers> barriers_;

  std::vector<Thread*> ready_;  // a ring; its size is a power of two
  size_t first_ready_ = 0;
  size_t num_ready_ = 0;
  size_t idle_spins_ = 0;  // spins since any thread made progress
  int num_done_ = 0;
  bool is_dependency_met_ = true;
  bool has_called_dependency_wait_ = false;
  bool preempts_ = false;

  Fiber* runner_ = nullptr;  // the caller of run()
  Result result_ = Result::kFinished;

  std::byte* shared_region_ = nullptr;  // ends at an inaccessible page
  std::byte* shared_ = nullptr;

  DelayedStores delayed_stores_;
  DelayedStores* released_stores_ = nullptr;  // of the launch
};

}  // namespace trireme::emulation

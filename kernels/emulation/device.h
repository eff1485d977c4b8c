// Work of an emulated device and the OS thread that does it. Work is a graph: a piece runs when all
// that it depends on is done; of several pieces that may run, a seeded choice is made, and kernels
// let others in between their blocks.
// Invariant: what is said to be guarded by the runtime's mutex is touched with it held.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/emulation/running_kernel.h"

namespace trireme::emulation {

// What is to be done; the same for a piece of a stream and for a node of a graph.
struct Task {
  const char* name = "";
  std::shared_ptr<const Kernel> kernel;  // or
  std::function<void()> run;             // or nothing: only an order
  std::function<bool()> may_run;         // empty: yes
};

class Device;

struct Work {
  Task task;
  Device* device = nullptr;
  int num_unmet = 0;  // dependencies that are not done; this and the rest guarded by the mutex
  bool is_done = false;
  std::vector<std::shared_ptr<Work>> dependents;
  std::unique_ptr<RunningKernel> ahead;  // its first blocks ran before its predecessor
};
using WorkPtr = std::shared_ptr<Work>;

class Device {
 public:
  Device(int index, std::mutex& mutex, std::condition_variable& done);
  ~Device();

  int index() const { return index_; }
  // With the mutex held. Dependencies that are done (or null) count as met.
  WorkPtr enqueue(Task task, const std::vector<WorkPtr>& dependencies);
  // The host waits: begin now. With the mutex held.
  void begin();
  void stop();                                        // ends the thread; without the mutex
  bool is_idle() const { return num_pending_ == 0; }  // with the mutex held

 private:
  // A piece of work under way, on a fiber of its own.
  struct Execution {
    Device* device = nullptr;
    WorkPtr work;
    Fiber* fiber = nullptr;
    bool is_finished = false;
    bool is_spinning = false;
  };

  static void execution_main(void* argument);

  void loop();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  void take_seed();
  Execution* choose();
  Execution* begin_execution(size_t ready_index);
  void finish(Execution& execution);
  void run_task(Execution& execution);
  void run_kernel(Execution& execution);
  WorkPtr overlapping_successor(const Work& work);
  void yield(Execution& execution, bool is_idle);

  const int index_;
  std::mutex& mutex_;
  std::condition_variable& done_;  // of hosts: some work is done
  std::condition_variable wake_;
  std::thread thread_;

  std::vector<WorkPtr> ready_;  // guarded, as is all up to the next line
  size_t num_pending_ = 0;      // enqueued and not done
  bool has_begun_ = false;
  bool is_stopping_ = false;
  std::chrono::steady_clock::time_point last_enqueue_;

  ExecutionPool pool_;  // the thread's own from here on
  Fiber* main_ = nullptr;
  Random random_{0};
  uint64_t settings_version_ = 0;  // that random_ was seeded by
  std::vector<std::unique_ptr<Execution>> executions_;
  int idle_turns_ = 0;
};

}  // namespace trireme::emulation

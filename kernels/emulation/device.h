// The work of an emulated device and the OS thread that runs it. Work forms a graph: a piece runs
// once its dependencies are done; among several runnable pieces a seeded choice is made, and a
// kernel lets other work run between its blocks. Work of streams that share a hardware queue begins
// in the order in which it was enqueued (hardware_queues.h).
//
// Invariant: members marked as guarded are accessed with the runtime's mutex held.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/emulation/hardware_queues.h"
#include "kernels/emulation/running_kernel.h"

namespace trireme::emulation {

// The content of a piece of work: of a stream or of a graph node.
struct Task {
  const char* name = "";
  std::shared_ptr<const Kernel> kernel;  // or
  std::function<void()> run;             // or neither: only a point of order
  std::function<bool()> may_run;         // empty: always
};

class Device;

// When anything was last enqueued or ran on any device: a device that waits for longer than
// `standstill_limit_s` waits for ever.
class Activity {
 public:
  void note() { last_.store(std::chrono::steady_clock::now(), std::memory_order_relaxed); }
  bool is_over() const;

 private:
  std::atomic<std::chrono::steady_clock::time_point> last_{std::chrono::steady_clock::now()};
};

struct Work {
  Task task;
  QueuePlace place;
  Device* device = nullptr;
  int num_unmet = 0;  // unfinished dependencies; guarded, like the following members
  bool is_done = false;
  std::vector<std::shared_ptr<Work>> dependents;
  std::unique_ptr<RunningKernel> ahead;  // its first blocks ran before the predecessor ended
};
using WorkPtr = std::shared_ptr<Work>;

class Device {
 public:
  Device(int index, std::mutex& mutex, std::condition_variable& done, Activity& activity);
  ~Device();

  int index() const { return index_; }
  // Called with the mutex held. Dependencies that are done, or null, count as met.
  WorkPtr enqueue(Task task, const std::vector<WorkPtr>& dependencies, const QueuePlace& place);
  // The host waits, so begin now. Called with the mutex held.
  void begin();
  // "kernel NAME of stream 3" for each piece in progress. Called with the mutex held.
  std::string running() const;
  void stop();                                        // ends the thread; called without the mutex
  bool is_idle() const { return num_pending_ == 0; }  // called with the mutex held

 private:
  // A piece of work in progress, on its own fiber.
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
  void fail_at_a_standstill() const;
  Execution* begin_execution(size_t ready_index);
  void finish(Execution& execution);
  void run_task(Execution& execution);
  void run_kernel(Execution& execution);
  WorkPtr overlapping_successor(const Work& work);
  void yield(Execution& execution, bool is_idle);

  const int index_;
  std::mutex& mutex_;
  std::condition_variable& done_;  // wakes waiting host threads
  Activity& activity_;
  std::condition_variable wake_;
  std::thread thread_;

  std::vector<WorkPtr> ready_;  // guarded, like the following members up to the blank line
  HardwareQueues queues_;
  size_t num_pending_ = 0;  // enqueued, not done
  bool has_begun_ = false;
  bool is_stopping_ = false;
  std::chrono::steady_clock::time_point last_enqueue_;

  ExecutionPool pool_;  // used by the device's thread only, like all members below
  Fiber* main_ = nullptr;
  Random random_{0};
  uint64_t settings_version_ = 0;  // of the last seeding of random_
  std::vector<std::unique_ptr<Execution>> executions_;
  int idle_turns_ = 0;
};

}  // namespace trireme::emulation

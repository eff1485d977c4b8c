#include "kernels/emulation/device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "kernels/emulation/control.h"
#include "kernels/emulation/symbols.h"

namespace trireme::emulation {
namespace {

constexpr size_t kMaxExecutions = 32;

// "kernel NAME of stream 3"
std::string name_of(const Work& work) {
  const Kernel* kernel = work.task.kernel.get();
  const std::string name =
      kernel != nullptr ? "kernel " + symbol_name(kernel->function) : std::string(work.task.name);
  const int stream = work.place.stream;
  return name + (stream < 0 ? " of the default stream" : " of stream " + std::to_string(stream));
}

}  // namespace

bool Activity::is_over() const {
  const auto idle = std::chrono::steady_clock::now() - last_.load(std::memory_order_relaxed);
  return idle > std::chrono::seconds(settings().standstill_limit_s);
}

Device::Device(int index, std::mutex& mutex, std::condition_variable& done, Activity& activity)
    : index_(index), mutex_(mutex), done_(done), activity_(activity) {}

Device::~Device() { stop(); }

WorkPtr Device::enqueue(Task task,
                        const std::vector<WorkPtr>& dependencies,
                        const QueuePlace& place) {
  auto work = std::make_shared<Work>();
  work->task = std::move(task);
  work->device = this;
  work->place = place;
  queues_.push(*work);
  activity_.note();
  for (const WorkPtr& before : dependencies) {
    if (before == nullptr || before->is_done) continue;
    before->dependents.push_back(work);
    ++work->num_unmet;
  }
  ++num_pending_;
  last_enqueue_ = std::chrono::steady_clock::now();
  if (work->num_unmet == 0) ready_.push_back(work);
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
  return work;
}

void Device::begin() {
  has_begun_ = num_pending_ > 0;
  wake_.notify_one();
}

void Device::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

// Work does not start while the host enqueues more: then a choice among streams has all of them to
// choose from, a successor is known before its predecessor runs, and host memory is read late.
// Returns false to stop.
bool Device::wait_for_work(std::unique_lock<std::mutex>& lock) {
  while (!is_stopping_ && executions_.empty()) {
    if (num_pending_ == 0) has_begun_ = false;
    if (ready_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto start = last_enqueue_ + std::chrono::microseconds(settings().linger_us);
    if (has_begun_ || std::chrono::steady_clock::now() >= start) break;
    wake_.wait_until(lock, start);
  }
  return !is_stopping_;
}

void Device::loop() {
  Fiber main;
  main_ = &main;
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    take_seed();
    Execution* execution = choose();
    if (execution == nullptr && activity_.is_over()) fail_at_a_standstill();
    lock.unlock();
    if (execution != nullptr) {
      Fiber::switch_to(main, *execution->fiber);
    } else if (++idle_turns_ < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    lock.lock();
    if (execution != nullptr && execution->is_finished) finish(*execution);
  }
}

void Device::take_seed() {
  const uint64_t version = settings_version();
  if (settings_version_ == version) return;
  settings_version_ = version;
  random_ = Random(settings().seed * 1000003 + static_cast<uint64_t>(index_));
}

// Called with the mutex held. Returns a runnable piece: one in progress that can do more than spin,
// or one that is ready; spinning pieces get their turn when there is no other. Null: nothing can
// proceed now.
Device::Execution* Device::choose() {
  const size_t start = random_.below(executions_.size() + ready_.size() + 1);
  for (size_t i = 0; i < executions_.size() + ready_.size(); ++i) {
    const size_t at = (start + i) % (executions_.size() + ready_.size());
    if (at < executions_.size()) {
      if (!executions_[at]->is_spinning) return executions_[at].get();
      continue;
    }
    const Work& work = *ready_[at - executions_.size()];
    if (executions_.size() >= kMaxExecutions || !queues_.may_begin(work)) continue;
    if (work.task.may_run && !work.task.may_run()) continue;
    return begin_execution(at - executions_.size());
  }
  for (const auto& execution : executions_) execution->is_spinning = false;
  return nullptr;
}

// Ends the process if work could run and only its place in a hardware queue holds it back: the wait
// at the head of the queue may be for this very work.
void Device::fail_at_a_standstill() const {
  for (const WorkPtr& work : ready_) {
    const Work* head = queues_.head_of(*work);
    if (head == nullptr || (work->task.may_run && !work->task.may_run())) continue;
    std::fprintf(stderr,
                 "emulated CUDA: device %d, hardware queue %d: %s could run, but stands behind %s, "
                 "which waits; nothing has run for %d s. Streams take the queues in the order in "
                 "which they are made\n%s",
                 index_,
                 work->place.queue,
                 name_of(*work).c_str(),
                 name_of(*head).c_str(),
                 settings().standstill_limit_s,
                 running().c_str());
    std::fflush(stderr);
    std::abort();
  }
}

std::string Device::running() const {
  std::string text;
  for (const auto& execution : executions_) {
    text += "  in progress: " + name_of(*execution->work) + "\n";
  }
  return text;
}

Device::Execution* Device::begin_execution(size_t ready_index) {
  auto execution = std::make_unique<Execution>();
  execution->device = this;
  execution->work = std::move(ready_[ready_index]);
  ready_.erase(ready_.begin() + static_cast<ptrdiff_t>(ready_index));
  queues_.pop(*execution->work);
  activity_.note();
  execution->fiber = &pool_.fibers.take();
  execution->fiber->start(&Device::execution_main, execution.get());
  executions_.push_back(std::move(execution));
  return executions_.back().get();
}

void Device::execution_main(void* argument) {
  Execution& execution = *static_cast<Execution*>(argument);
  Device& device = *execution.device;
  device.run_task(execution);
  device.idle_turns_ = 0;
  device.activity_.note();
  execution.is_finished = true;
  Fiber::switch_to(*execution.fiber, *device.main_);
}

void Device::finish(Execution& execution) {
  Work& work = *execution.work;
  work.is_done = true;
  --num_pending_;
  for (const WorkPtr& after : work.dependents) {
    if (--after->num_unmet > 0) continue;
    after->device->ready_.push_back(after);
    if (after->device != this) after->device->wake_.notify_one();
  }
  work.dependents.clear();
  work.task = {};
  done_.notify_all();
  pool_.fibers.give_back(*execution.fiber);
  std::erase_if(executions_, [&](const auto& other) { return other.get() == &execution; });
}

void Device::run_task(Execution& execution) {
  const Task& task = execution.work->task;
  if (task.kernel != nullptr) {
    run_kernel(execution);
  } else if (task.run) {
    task.run();
  }
}

void Device::run_kernel(Execution& execution) {
  Work& work = *execution.work;
  if (const WorkPtr next = overlapping_successor(work); next != nullptr) {
    next->ahead = std::make_unique<RunningKernel>(next->task.kernel, pool_, random_.next());
    next->ahead->run_ahead(*execution.fiber);
  }
  if (work.ahead == nullptr) {
    work.ahead = std::make_unique<RunningKernel>(work.task.kernel, pool_, random_.next());
  }
  work.ahead->run(*execution.fiber, [&](bool is_idle) { yield(execution, is_idle); });
  work.ahead.reset();
}

WorkPtr Device::overlapping_successor(const Work& work) {
  if (!settings().overlaps) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const WorkPtr& after : work.dependents) {
    const Kernel* kernel = after->task.kernel.get();
    if (kernel != nullptr && kernel->overlaps && after->device == this && after->num_unmet == 1) {
      return after;
    }
  }
  return nullptr;
}

void Device::yield(Execution& execution, bool is_idle) {
  execution.is_spinning = is_idle;
  if (!is_idle) idle_turns_ = 0;
  if (!is_idle) activity_.note();
  Fiber::switch_to(*execution.fiber, *main_);
}

}  // namespace trireme::emulation

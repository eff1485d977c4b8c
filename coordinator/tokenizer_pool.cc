#include "coordinator/tokenizer_pool.h"

namespace trireme {

TokenizerPool::TokenizerPool(int num_threads,
                             Bounds bounds,
                             Encode encode,
                             std::function<void()> wake)
    : bounds_(bounds), encode_(std::move(encode)), wake_(std::move(wake)) {
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { run(); });
}

TokenizerPool::~TokenizerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool TokenizerPool::submit(TokenizeJob job) {
  {
    const std::lock_guard lock(mutex_);
    const int64_t bytes = static_cast<int64_t>(job.text.size());
    if (jobs_.size() >= bounds_.max_jobs || waiting_bytes_ + bytes > bounds_.max_bytes) {
      return false;
    }
    waiting_bytes_ += bytes;
    jobs_.push_back(std::move(job));
  }
  work_.notify_one();
  return true;
}

std::vector<TokenizerPool::Result> TokenizerPool::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(results_, {});
}

void TokenizerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    TokenizeJob job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    Result result{job.number, encode_(job)};
    lock.lock();
    waiting_bytes_ -= static_cast<int64_t>(job.text.size());
    results_.push_back(std::move(result));
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace trireme

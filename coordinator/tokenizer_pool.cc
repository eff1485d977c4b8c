#include "coordinator/tokenizer_pool.h"

#include <algorithm>

namespace trireme {

TokenizerPool::TokenizerPool(int num_threads, Bounds bounds, Work work, std::function<void()> wake)
    : bounds_(bounds), work_(std::move(work)), wake_(std::move(wake)) {
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { run(); });
}

TokenizerPool::~TokenizerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  has_work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool TokenizerPool::submit(TokenizerJob job) {
  {
    const std::lock_guard lock(mutex_);
    const int64_t bytes = bytes_of(job);
    const bool half = job.is_question;
    const size_t max_jobs = half ? bounds_.max_jobs / 2 : bounds_.max_jobs;
    const int64_t max_bytes = half ? bounds_.max_bytes / 2 : bounds_.max_bytes;
    if (prompts_.size() + questions_.size() >= max_jobs || waiting_bytes_ + bytes > max_bytes) {
      return false;
    }
    waiting_bytes_ += bytes;
    (job.is_question ? questions_ : prompts_).push_back(std::move(job));
  }
  has_work_.notify_one();
  return true;
}

std::vector<TokenizerResult> TokenizerPool::take() {
  const std::lock_guard lock(mutex_);
  for (const TokenizerResult& result : results_) waiting_bytes_ -= wire_bytes_of(result);
  return std::exchange(results_, {});
}

void TokenizerPool::drop(uint64_t job) {
  const std::lock_guard lock(mutex_);
  for (std::deque<TokenizerJob>* jobs : {&prompts_, &questions_}) {
    const auto found =
        std::ranges::find_if(*jobs, [&](const TokenizerJob& each) { return each.number == job; });
    if (found == jobs->end()) continue;
    waiting_bytes_ -= bytes_of(*found);
    jobs->erase(found);
    return;
  }
}

TokenizerJob TokenizerPool::next_job() {
  const bool overtakes = !questions_.empty() && prompts_in_row_ < kMaxInRow;
  const bool takes_prompt = !prompts_.empty() && (questions_.empty() || overtakes);
  prompts_in_row_ = takes_prompt && overtakes ? prompts_in_row_ + 1 : 0;
  std::deque<TokenizerJob>& jobs = takes_prompt ? prompts_ : questions_;
  TokenizerJob job = std::move(jobs.front());
  jobs.pop_front();
  return job;
}

void TokenizerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    has_work_.wait(lock, [this] { return stopping_ || !prompts_.empty() || !questions_.empty(); });
    if (stopping_) return;
    const TokenizerJob job = next_job();
    lock.unlock();
    TokenizerResult result = work_(job);
    result.job = job.number;
    lock.lock();
    waiting_bytes_ += wire_bytes_of(result) - bytes_of(job);
    results_.push_back(std::move(result));
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace trireme

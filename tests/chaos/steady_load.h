// Streams that ask for answers without a pause, over one client that resumes by itself, in a thread
// of their own. Every answer is compared with that of an undisturbed cluster.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "clients/cpp/client.h"

namespace trireme {

// Of one answer: what must arrive, whatever dies.
struct WholeAnswer {
  std::vector<TokenId> ids;
  std::string text;
  door::FinishReason reason{};
  bool operator==(const WholeAnswer&) const = default;
};

// All 0: nothing was lost, repeated or changed.
struct LoadProblems {
  int64_t lost = 0;      // accepted, and ended with an error
  int64_t repeated = 0;  // an id that had come before
  int64_t skipped = 0;   // an id that came without those before it
  int64_t changed = 0;   // not the undisturbed answer
  std::string first;     // of them, in words
};

class SteadyLoad {
 public:
  // `requests`: asked for in turn by each of `num_streams` streams. Asks for each of them once
  // before it returns, for the answers to compare with; the cluster is not disturbed yet.
  SteadyLoad(const std::string& endpoint, std::vector<door::Submit> requests, int num_streams);
  ~SteadyLoad();
  SteadyLoad(const SteadyLoad&) = delete;
  SteadyLoad& operator=(const SteadyLoad&) = delete;

  void start();
  // No new requests; returns when the open ones are over or `timeout` has passed.
  void finish(std::chrono::milliseconds timeout);

  // After finish() only.
  int64_t num_answers() const { return num_answers_; }
  int64_t num_refused() const {
    return num_refused_;
  }  // before they were accepted: nothing is lost
  int num_unfinished() const { return static_cast<int>(streams_.size()); }
  const LoadProblems& problems() const { return problems_; }
  // Per stream of the load the longest silence between two events that overlaps [begin, end).
  std::vector<TimeUs> silences(TimeUs begin_us, TimeUs end_us) const;

  // Thread-safe: the number of streams that have heard something since `since_us`.
  int num_heard(TimeUs since_us) const;

 private:
  struct Stream {
    int place = 0;       // of the streams that run beside each other
    size_t request = 0;  // of requests_
    bool is_accepted = false;
    WholeAnswer answer;
  };

  void run();
  void open(int place);
  void handle(const ClientEvent& event);
  void note(int64_t& count, const Stream& stream, const std::string& words);

  SteadyClock clock_;
  const std::vector<door::Submit> requests_;
  const int num_streams_;
  std::unique_ptr<Client> client_;
  std::vector<WholeAnswer> wanted_;                 // per request; filled in before start()
  std::map<uint64_t, Stream> streams_;              // by tag
  std::vector<size_t> next_request_;                // per place
  std::vector<std::vector<TimeUs>> heard_us_;       // per place
  std::vector<std::atomic<TimeUs>> last_heard_us_;  // per place
  LoadProblems problems_;
  int64_t num_answers_ = 0;
  int64_t num_refused_ = 0;
  bool learns_ = true;
  std::atomic<bool> stops_ = false;
  std::atomic<TimeUs> give_up_us_ = 0;  // 0: no such time yet
  std::thread thread_;
};

}  // namespace trireme

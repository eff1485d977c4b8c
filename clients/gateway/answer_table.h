// The answers that are being made: HTTP requests that wait for the door. Owns them and knows which
// stream of the door belongs to which. Used by the loop's thread.
// Invariant: an answer is deleted only in sweep(), so that it may end inside its own calls.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "clients/cpp/client_events.h"
#include "clients/gateway/api/api_error.h"
#include "clients/gateway/http/http_exchange.h"

namespace trireme::gateway {

class Answer : public HttpExchangeUser {
 public:
  // Asks the door; may end the answer. After AnswerTable::add(), once.
  virtual void start() = 0;
  // `index`: of the stream among those of this answer.
  virtual void on_door_event(int index, ClientEvent event) = 0;
  virtual void tick(TimeUs now_us) = 0;
  // Ends it with this error, as a status or in the stream.
  virtual void fail(const ApiError& error) = 0;
};

class AnswerTable {
 public:
  Answer& add(std::unique_ptr<Answer> answer);
  // The answer is over; its streams must have been released.
  void remove(Answer* answer);
  void sweep() { removed_.clear(); }

  void claim(uint64_t tag, Answer* answer, int index) { streams_[tag] = {answer, index}; }
  void release(uint64_t tag);
  // The client of `answer` is gone: from here on it and its stream `tag` are counted apart.
  void let_run_on(Answer* answer, uint64_t tag);

  // Events of a stream that nobody holds are dropped.
  void dispatch(ClientEvent event);
  void tick(TimeUs now_us);
  void fail_all(const ApiError& error);

  // Of answers that have a client.
  size_t num_answers() const { return answers_.size() - running_on_.size(); }
  size_t num_streams() const { return streams_.size() - num_running_on_; }
  // Streams of the others.
  size_t num_running_on() const { return num_running_on_; }

 private:
  std::vector<Answer*> all() const;

  struct Stream {
    Answer* answer = nullptr;
    int index = 0;
    bool runs_on = false;
  };

  std::unordered_map<Answer*, std::unique_ptr<Answer>> answers_;
  std::unordered_map<uint64_t, Stream> streams_;
  std::unordered_set<Answer*> running_on_;
  size_t num_running_on_ = 0;
  std::vector<std::unique_ptr<Answer>> removed_;
};

}  // namespace trireme::gateway

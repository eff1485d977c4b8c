#include "clients/gateway/answer_table.h"

#include <utility>

namespace trireme::gateway {

Answer& AnswerTable::add(std::unique_ptr<Answer> answer) {
  Answer* const key = answer.get();
  answers_.emplace(key, std::move(answer));
  return *key;
}

void AnswerTable::remove(Answer* answer) {
  const auto found = answers_.find(answer);
  if (found == answers_.end()) return;
  removed_.push_back(std::move(found->second));
  answers_.erase(found);
  running_on_.erase(answer);
}

void AnswerTable::release(uint64_t tag) {
  const auto found = streams_.find(tag);
  if (found == streams_.end()) return;
  if (found->second.runs_on) --num_running_on_;
  streams_.erase(found);
}

void AnswerTable::let_run_on(Answer* answer, uint64_t tag) {
  running_on_.insert(answer);
  const auto found = streams_.find(tag);
  if (found != streams_.end() && !std::exchange(found->second.runs_on, true)) ++num_running_on_;
}

void AnswerTable::dispatch(ClientEvent event) {
  const auto found = streams_.find(tag_of(event));
  if (found == streams_.end()) return;
  const Stream stream = found->second;
  stream.answer->on_door_event(stream.index, std::move(event));
}

// A copy: the calls of an answer may remove it and others.
std::vector<Answer*> AnswerTable::all() const {
  std::vector<Answer*> all;
  all.reserve(answers_.size());
  for (const auto& [key, answer] : answers_) all.push_back(key);
  return all;
}

void AnswerTable::tick(TimeUs now_us) {
  for (Answer* answer : all()) {
    if (answers_.contains(answer)) answer->tick(now_us);
  }
}

void AnswerTable::fail_all(const ApiError& error) {
  for (Answer* answer : all()) {
    if (answers_.contains(answer)) answer->fail(error);
  }
}

}  // namespace trireme::gateway

// Assembles answers from a client's events: ids, text, log-probabilities and arrival times of every
// choice of every request. Owned by RequestRunner, main thread.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "clients/cli/assistant_message.h"
#include "clients/cpp/client.h"

namespace trireme {

inline double milliseconds(TimeUs us) { return static_cast<double>(us) * 1e-3; }

struct Choice {
  std::vector<TokenId> token_ids;
  std::string text;          // of a chat: the content
  AssistantMessage message;  // of a chat
  std::vector<door::TokenLogprob> logprobs;
  std::vector<TimeUs> frame_us;       // arrival time of each frame with ids of this choice
  std::vector<int32_t> frame_tokens;  // number of ids in each of them
  door::Finished finished;
  bool over = false;
};

struct Answer {
  size_t index = 0;  // of the prompt
  std::string id;
  bool is_chat = false;  // answered by a message
  TimeUs sent_us = 0;
  TimeUs done_us = 0;  // the end, also of an answer that was refused or abandoned
  uint64_t seed = 0;
  int32_t prompt_tokens = 0;
  std::vector<Choice> choices;
  std::vector<door::TokenLogprob> prompt_logprobs;
  std::vector<door::ProbeValues> probes;  // pieces in order of arrival
  Status refusal;                         // not ok: the request was refused or abandoned
  bool over = false;

  bool failed() const;
  int64_t output_tokens() const;
  TimeUs first_token_us() const;  // 0: no token arrived
};

class AnswerBook {
 public:
  // A request was submitted under `tag`. Its answer is valid until take() or abandon().
  Answer& open(uint64_t tag, size_t index, const std::string& id, int num_choices, TimeUs now_us);

  // Applies an event. `answer` is the answer that it belongs to, or null; `released` the text that
  // it adds to choice `choice`, or `parts` where it is a chat.
  struct News {
    Answer* answer = nullptr;
    int choice = 0;
    std::string released;
    std::vector<AnswerPart> parts;
  };
  News book(const ClientEvent& event, TimeUs now_us);

  // Removes an answer that is over and returns it.
  Answer take(uint64_t tag);
  size_t num_open() const { return answers_.size(); }
  std::vector<uint64_t> open_tags() const;
  // Ends all open answers with `status` and returns them.
  std::vector<Answer> abandon(const Status& status, TimeUs now_us);

 private:
  std::map<uint64_t, Answer> answers_;
};

// The JSON line of `run --json` for one choice: id, index, prompt_tokens, token_ids, text, ...;
// of a chat also its message.
nlohmann::ordered_json answer_json(const Answer& answer, int choice);

// "stop", "length", "tool_calls", "cancelled" or "error".
std::string finish_reason_name(const Answer& answer, int choice);

// The error of a choice: a refusal or a failure; ok if neither.
Status failure_of(const Answer& answer, int choice);

}  // namespace trireme

// The answers of a scripted rank: lines of JSON, one an answer. A request takes the first line
// whose `match` stands in its prompt, else the next line without `match`; the last of those stays.
// A request that comes back after a preemption keeps its line. Without any line: sixteen plain
// words. Owner: the rank's loop.
//
//   {"match": "weather", "text": "<think>...", "step_us": 2000}
//
//   text, ids, words   the answer: a text for the model's tokenizer, ids, or that many plain words
//   split              of the text: "tokens" (default), "bytes" (one token a byte where the
//                      vocabulary has it) or "random:SEED"
//   end                the id that ends it (default: the model's first); -1: none, words go on
//   loop               begins again after its end
//   step_us            shortest time of a step with this answer; absent: the rank's
//   first_us           the same for the step of its first token
//   act, at            at token `at`: "stall" (no more results), "die", "silent" (no more
//                      heartbeats), "leave" (a Goodbye), "crash" (one with a fatal signal),
//                      "fail" (the request), "wrong_id", "wrong_slot", "wrong_step", "twice" (the
//                      same result), "garbage"
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/step_plan.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

enum class Act {
  kNone,
  kStall,
  kDie,
  kSilent,
  kLeave,
  kCrash,
  kFail,
  kWrongId,
  kWrongSlot,
  kWrongStep,
  kTwice,
  kGarbage
};

struct ScriptedAnswer {
  std::string match;
  std::vector<TokenId> ids;
  TokenId end = -1;
  bool loop = false;
  std::optional<TimeUs> step_us;
  std::optional<TimeUs> first_us;
  Act act = Act::kNone;
  int32_t act_at = 0;

  // The token of this index; after the end the end again.
  TokenId id_at(int32_t index) const;
};

class AnswerScript {
 public:
  // `tokenizer` outlives the script. `end`: of answers that name none.
  AnswerScript(const Tokenizer& tokenizer, TokenId end);

  // An error says what is wrong with the line.
  Status add(const std::string& line);
  void clear();
  bool reads_prompts() const { return reads_prompts_; }

  // The answer to a request that is opened. `prompt` is empty unless reads_prompts().
  const ScriptedAnswer& choose(const OpenedSlot& opened, const std::string& prompt);

 private:
  StatusOr<std::vector<TokenId>> cut(const std::string& text, const std::string& split) const;
  std::vector<TokenId> words(int64_t count) const;

  const Tokenizer& tokenizer_;
  const TokenId end_;
  std::vector<TokenId> plain_;                // ids of plain words
  std::map<unsigned char, TokenId> of_byte_;  // ids of single bytes
  ScriptedAnswer default_;
  std::vector<const ScriptedAnswer*> matching_;
  std::vector<const ScriptedAnswer*> in_order_;
  std::vector<std::unique_ptr<const ScriptedAnswer>> lines_;  // kept: slots refer to them
  std::map<std::pair<uint64_t, uint32_t>, const ScriptedAnswer*> chosen_;  // by seed and choice
  size_t next_ = 0;
  bool reads_prompts_ = false;
};

}  // namespace trireme

// The answer of one choice, kept for its readers: a stream, a later one, the journal. The ids stand
// in the Sequence behind its prompt. Part of the Engine; its thread only. Text up to id i is a
// function of the ids up to i, so that an index alone says how far a client is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/engine/events.h"
#include "model/chat/answer/answer_part.h"

namespace trireme {

struct Answer {
  struct PlacedPart {
    int32_t index = 0;  // of the id with which it was released
    AnswerPart part;
  };

  std::string text;                      // of all ids; with `echo` the prompt's text before it
  int32_t echo_bytes = 0;                // of text: the prompt's
  std::vector<uint32_t> text_end;        // per id: the length of `text` with it
  std::vector<PlacedPart> parts;         // of a chat, by index; `text` is empty
  std::vector<LogprobEntry> logprobs;    // where asked, parallel to the ids
  std::optional<effect::Finish> ending;  // without connection, tag and last_choice

  // Ids that may be told, because their record is durable, and whether the ending may.
  int32_t durable = 0;
  bool ending_durable = false;

  int32_t num_ids() const { return static_cast<int32_t>(text_end.size()); }
  int64_t bytes() const;

  // The next id releases this text or these parts.
  void add(std::string_view released, std::vector<AnswerPart> released_parts);
  // Text, parts and logprobs of the ids from `first` to before `last` into `tokens`.
  void read(int32_t first, int32_t last, effect::Tokens& tokens) const;
};

}  // namespace trireme

// The ids of the events of a stream that can be resumed. Such a stream is a series of writes: one
// for its start, one for every piece of a choice, one for the end of a choice. How many pieces a
// choice comes in differs from stream to stream, so that an id says how far every choice was before
// the write, what the write was for, and how many events of it and of the stream were sent with
// this one:
//
//   "5,e,0;0-9.1/8"   5 tokens, an end and no token were written; then tokens of choice 0 up to 9
//   "0;s.2/2"         the second event of the start
//   "9;0-e.1/12"      the first event of the end of choice 0
//
// Clients read nothing into it. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

struct StreamWrite {
  static constexpr int32_t kStart = -1;

  int32_t choice = kStart;  // counted through all prompts
  int32_t index = 0;        // up to this token; door::kEndedIndex: its end
  bool operator==(const StreamWrite&) const = default;
};

struct EventPosition {
  std::vector<int32_t> before;  // per choice, the tokens that were written; door::kEndedIndex
  StreamWrite write;
  int32_t num_events = 0;  // of the write
  int32_t total = 0;       // events of the stream

  bool operator==(const EventPosition&) const = default;
};

std::string event_id(const EventPosition& position);
// TRI-HTTP-034: no such id.
StatusOr<EventPosition> read_event_id(std::string_view text);

// The order in which the answer to prompt `prompt` has to come, so that the same writes are made
// again up to the event.
std::vector<door::AnswerPoint> points_of(const EventPosition& position,
                                         int32_t prompt,
                                         int32_t num_prompts);

}  // namespace trireme::gateway

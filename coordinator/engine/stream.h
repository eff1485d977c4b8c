// A listener of an answer: how far it has been told. At most one per request; it owns no tokens.
// Part of the Engine; its thread only. Invariant: credit is counted here and by the client, nowhere
// else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "coordinator/engine/events.h"

namespace trireme {

struct Stream {
  struct Cursor {
    int32_t next = 0;    // the first id that the client lacks
    bool ended = false;  // it has seen the choice's Finish
  };

  ConnectionId connection = 0;
  uint64_t tag = 0;
  int64_t credit_bytes = 0;  // what may be sent before the client grants more; below 0 by one part
  bool repeated = false;     // opened by a Resume, or a Submit whose idempotency key was known
  bool accept_sent = false;
  std::vector<Cursor> cursors;  // per choice
  // Sent in this order before anything else: up to the first point, then up to the next one. A
  // piece leads to a point at most, and is sent when all ids before the point may be told.
  std::deque<AnswerPoint> points;

  // Nothing is left to tell.
  bool has_ended() const {
    return std::all_of(
        cursors.begin(), cursors.end(), [](const Cursor& cursor) { return cursor.ended; });
  }
};

}  // namespace trireme

// Conversion between journal.proto and journal_entry.h. For record_codec.cc only. `write` expects a
// cleared message; `read` reports fields out of range to `check`. Pure functions.
#pragma once

#include "base/clock.h"
#include "coordinator/journal/journal_entry.h"
#include "model/chat/answer/answer_format.h"
#include "proto/journal.pb.h"
#include "proto/wire_fields.h"

namespace trireme::journal {

// The two clocks of a conversion, and the dialect that chats get.
struct ConvertContext {
  int64_t wall_offset_us = 0;
  std::shared_ptr<const Dialect> dialect;

  int64_t to_wall(TimeUs time) const { return time + wall_offset_us; }
  TimeUs from_wall(wire::RangeCheck& check, int64_t wall_us, const char* field) const {
    constexpr int64_t kMaxWallUs = int64_t{1} << 60;  // far beyond any date
    check.number(wall_us, kMaxWallUs, field, -kMaxWallUs);
    return check.ok() ? wall_us - wall_offset_us : 0;
  }
};

// 16 bytes.
std::string to_bytes(const RequestId& id);
RequestId read_id(wire::RangeCheck& check, const std::string& bytes);
RequestNumber read_number(wire::RangeCheck& check, uint32_t number);

void write(const ConvertContext& context, const Accepted& from, v1::JournalAccepted& to);
void write(const std::vector<LogprobEntry>& from, v1::JournalLogprobs& to);
void write(const Tokens& from, v1::JournalTokens& to);
void write(const ConvertContext& context, const Ended& from, v1::JournalEnded& to);
void write(const ConvertContext& context, const Answer& from, v1::JournalAnswer& to);
void write(const ConvertContext& context, const RequestState& from, v1::JournalRequest& to);

void read(const ConvertContext& context,
          wire::RangeCheck& check,
          const v1::JournalAccepted& from,
          Accepted& to);
// Fills in `num_entries` entries, no fewer and no more.
void read(wire::RangeCheck& check,
          const v1::JournalLogprobs& from,
          int64_t num_entries,
          std::vector<LogprobEntry>& to);
void read(wire::RangeCheck& check, const v1::JournalTokens& from, Tokens& to);
void read(const ConvertContext& context,
          wire::RangeCheck& check,
          const v1::JournalEnded& from,
          Ended& to);
void read(const ConvertContext& context,
          wire::RangeCheck& check,
          const v1::JournalAnswer& from,
          Answer& to);
void read(const ConvertContext& context,
          wire::RangeCheck& check,
          const v1::JournalRequest& from,
          RequestState& to);

}  // namespace trireme::journal

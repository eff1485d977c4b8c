// Codec of the journal: entries to the body of a record (proto/journal.proto) and back. One codec
// belongs to one thread; it reuses its protobuf messages. Decoding is safe for any bytes: it gives
// the entries or TRI-JRN-001. Whether a request of a number exists is for the reader to check.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "coordinator/journal/journal_entry.h"
#include "model/chat/answer/answer_format.h"

namespace trireme::journal {

constexpr int64_t kMaxBodyBytes = 256 << 20;

class RecordCodec {
 public:
  // `wall_offset_us` + a time of the loop's clock = wall time. `dialect` goes into the formats of
  // decoded chats; null: none.
  explicit RecordCodec(int64_t wall_offset_us, std::shared_ptr<const Dialect> dialect = nullptr);
  ~RecordCodec();
  RecordCodec(RecordCodec&&) noexcept;
  RecordCodec& operator=(RecordCodec&&) noexcept;

  // Replaces the content of `body` and keeps its capacity.
  void encode(const Entries& entries, std::string& body);
  // After an error the content of `entries` is unspecified.
  Status decode(std::string_view body, Entries& entries);

 private:
  struct Messages;
  std::unique_ptr<Messages> messages_;
  int64_t wall_offset_us_;
  std::shared_ptr<const Dialect> dialect_;
};

}  // namespace trireme::journal

#include "coordinator/journal/record_codec.h"

#include <utility>

#include "coordinator/journal/entry_convert.h"

namespace trireme::journal {

struct RecordCodec::Messages {
  v1::JournalBody body;
};

namespace {

using wire::RangeCheck;

void write(const ConvertContext&, const Life& from, v1::JournalEntry& to) {
  to.mutable_life()->set_epoch(from.epoch);
}
void write(const ConvertContext& context, const Accepted& from, v1::JournalEntry& to) {
  write(context, from, *to.mutable_accepted());
}
void write(const ConvertContext&, const Bound& from, v1::JournalEntry& to) {
  to.mutable_bound()->set_number(from.number);
  to.mutable_bound()->set_compatibility(from.compatibility);
}
void write(const ConvertContext&, const Tokens& from, v1::JournalEntry& to) {
  journal::write(from, *to.mutable_tokens());
}
void write(const ConvertContext& context, const Ended& from, v1::JournalEntry& to) {
  write(context, from, *to.mutable_ended());
}
void write(const ConvertContext&, const Suspect& from, v1::JournalEntry& to) {
  to.mutable_suspect()->set_number(from.number);
  to.mutable_suspect()->set_crashes(static_cast<uint32_t>(from.crashes));
}
void write(const ConvertContext&, const Forgotten& from, v1::JournalEntry& to) {
  to.mutable_forgotten()->set_number(from.number);
}
void write(const ConvertContext& context, const Answer& from, v1::JournalEntry& to) {
  write(context, from, *to.mutable_answer());
}
void write(const ConvertContext& context, const RequestState& from, v1::JournalEntry& to) {
  write(context, from, *to.mutable_request());
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalEntry& from,
          Entry& to) {
  switch (from.kind_case()) {
    case v1::JournalEntry::kLife:
      to = Life{from.life().epoch()};
      return;
    case v1::JournalEntry::kAccepted:
      return read(context, check, from.accepted(), to.emplace<Accepted>());
    case v1::JournalEntry::kBound:
      to = Bound{read_number(check, from.bound().number()), from.bound().compatibility()};
      return;
    case v1::JournalEntry::kTokens:
      return read(check, from.tokens(), to.emplace<Tokens>());
    case v1::JournalEntry::kEnded:
      return read(context, check, from.ended(), to.emplace<Ended>());
    case v1::JournalEntry::kSuspect:
      to = Suspect{read_number(check, from.suspect().number()),
                   to_int32(check, from.suspect().crashes(), "crashes")};
      return;
    case v1::JournalEntry::kForgotten:
      to = Forgotten{read_number(check, from.forgotten().number())};
      return;
    case v1::JournalEntry::kAnswer:
      return read(context, check, from.answer(), to.emplace<Answer>());
    case v1::JournalEntry::kRequest:
      return read(context, check, from.request(), to.emplace<RequestState>());
    case v1::JournalEntry::KIND_NOT_SET:
      check.fail("kind", "is unknown");
      return;
  }
}

Status damaged(const Status& cause) {
  return invalid("TRI-JRN-001", "the body of a record is damaged: {}", message_without_id(cause));
}

}  // namespace

RecordCodec::RecordCodec(int64_t wall_offset_us, std::shared_ptr<const Dialect> dialect)
    : messages_(std::make_unique<Messages>()),
      wall_offset_us_(wall_offset_us),
      dialect_(std::move(dialect)) {}

RecordCodec::~RecordCodec() = default;
RecordCodec::RecordCodec(RecordCodec&&) noexcept = default;
RecordCodec& RecordCodec::operator=(RecordCodec&&) noexcept = default;

void RecordCodec::encode(const Entries& entries, std::string& body) {
  const ConvertContext context{wall_offset_us_, nullptr};
  messages_->body.Clear();
  for (const Entry& entry : entries) {
    v1::JournalEntry& to = *messages_->body.add_entries();
    std::visit([&](const auto& value) { write(context, value, to); }, entry);
  }
  body.resize(messages_->body.ByteSizeLong());
  messages_->body.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(body.data()));
}

Status RecordCodec::decode(std::string_view body, Entries& entries) {
  if (const Status status = wire::parse(body, kMaxBodyBytes, messages_->body); !status.ok()) {
    return damaged(status);
  }
  const ConvertContext context{wall_offset_us_, dialect_};
  RangeCheck check;
  entries.clear();
  for (const v1::JournalEntry& entry : messages_->body.entries()) {
    read(context, check, entry, entries.emplace_back());
    if (!check.ok()) return damaged(check.status());
  }
  return ok_status();
}

}  // namespace trireme::journal

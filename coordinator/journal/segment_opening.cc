#include "coordinator/journal/segment_opening.h"

#include <utility>

namespace trireme::journal {
namespace {

constexpr size_t kWriteBytes = 1 << 20;

int64_t num_ids(const RequestState& state) {
  int64_t sum = 0;
  for (const RestoredChoice& choice : state.choices) {
    sum += std::ssize(choice.ids) + 8 * std::ssize(choice.logprobs);
  }
  return sum;
}

}  // namespace

SegmentOpening::SegmentOpening(const SegmentHeader& header,
                               const JournalState& state,
                               RecordCodec& codec,
                               std::vector<Copy> copies,
                               bool sync)
    : header_(header),
      seed_(record_seed(header)),
      state_(state),
      codec_(codec),
      copies_(std::move(copies)),
      buffer_(encode(header)),
      needs_sync_(sync) {}

void SegmentOpening::add_record(RecordType type, const Entries& entries) {
  codec_.encode(entries, body_);
  const RecordHeader header{type, header_.base_sequence, header_.base_sequence};
  append_record(seed_, header, body_, buffer_);
}

void SegmentOpening::add_copy(const Copy& copy, const std::string& bytes) {
  const auto record = read_record(record_seed({header_.journal, copy.from.segment, 0}), bytes);
  Entries entries;
  if (!record || !codec_.decode(record->body, entries).ok()) return;
  for (Entry& entry : entries) {
    const auto* accepted = std::get_if<Accepted>(&entry);
    const auto* answer = std::get_if<Answer>(&entry);
    const bool is_it = copy.is_answer ? answer != nullptr && answer->number == copy.number
                                      : accepted != nullptr && accepted->number == copy.number;
    if (!is_it) continue;
    const uint64_t begin = buffer_.size();
    Entries alone;
    alone.push_back(std::move(entry));
    add_record(RecordType::kSnapshot, alone);
    auto& places = copy.is_answer ? answer_at_ : accepted_at_;
    places[copy.number] = {header_.number, offset_ + begin, buffer_.size() - begin};
    return;
  }
}

RequestState SegmentOpening::state_of(const JournalState::Request& request) const {
  RequestState state = request.state;
  const auto accepted_at = accepted_at_.find(state.number);
  if (accepted_at != accepted_at_.end()) state.accepted_at = accepted_at->second;
  const auto answer_at = answer_at_.find(state.number);
  if (answer_at != answer_at_.end()) state.answer_at = answer_at->second;
  return state;
}

// Records of many requests each: damage to one of them costs no more than these.
void SegmentOpening::add_states() {
  constexpr int64_t kIdsPerRecord = 1 << 14;
  constexpr int64_t kIdsPerRequest = 64;  // for what else is stored of one
  Entries entries;
  for (int64_t ids = 0; next_state_ < state_.end() && ids < kIdsPerRecord; ++next_state_) {
    const JournalState::Request* request = state_.find(next_state_);
    if (request == nullptr) continue;
    entries.emplace_back(state_of(*request));
    ids += num_ids(request->state) + kIdsPerRequest;
  }
  if (!entries.empty()) add_record(RecordType::kSnapshot, entries);
}

std::optional<DiskOperation> SegmentOpening::next() {
  DiskOperation operation;
  operation.segment = header_.number;
  if (next_copy_ < copies_.size() && buffer_.size() < kWriteBytes) {
    const Place& from = copies_[next_copy_].from;
    operation.kind = DiskOperation::Kind::kRead;
    operation.segment = from.segment;
    operation.offset = from.offset;
    operation.bytes = from.bytes;
    running_ = operation.kind;
    return operation;
  }
  while (buffer_.size() < kWriteBytes && next_state_ < state_.end()) add_states();
  if (next_state_ == state_.end() && next_copy_ == copies_.size() && !has_end_) {
    add_record(RecordType::kSnapshotEnd, {Life{state_.epoch()}});
    has_end_ = true;
  }
  if (!buffer_.empty()) {
    operation.kind = DiskOperation::Kind::kWrite;
    operation.offset = offset_;
    operation.data = buffer_;
  } else if (needs_sync_) {
    operation.kind = DiskOperation::Kind::kSync;
  } else {
    return std::nullopt;
  }
  running_ = operation.kind;
  return operation;
}

Status SegmentOpening::done(const DiskResult& result) {
  if (running_ == DiskOperation::Kind::kRead) {
    if (result.status.ok()) add_copy(copies_[next_copy_], result.bytes);
    ++next_copy_;
    return ok_status();
  }
  RETURN_IF_ERROR(result.status);
  if (running_ == DiskOperation::Kind::kSync) needs_sync_ = false;
  if (running_ == DiskOperation::Kind::kWrite) {
    offset_ += buffer_.size();
    buffer_.clear();
  }
  return ok_status();
}

void SegmentOpening::move_copies(JournalState& state) const {
  for (const auto& [number, place] : accepted_at_) state.move_accepted(number, place);
  for (const auto& [number, place] : answer_at_) state.move_answer(number, place);
}

}  // namespace trireme::journal

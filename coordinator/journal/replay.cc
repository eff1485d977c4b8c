#include "coordinator/journal/replay.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace trireme::journal {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

bool is_zero(const std::string& bytes) {
  return bytes.find_first_not_of('\0') == std::string::npos;
}

struct Segment {
  SegmentHeader header;
  std::string bytes;
  SegmentScan scan;

  // The records of its snapshot are all there: requests and places may be taken from it.
  bool has_snapshot() const {
    for (size_t i = 0; i < scan.records.size(); ++i) {
      const RecordHeader& record = scan.records[i].header;
      if (record.type == RecordType::kSnapshotEnd) {
        return scan.gaps.empty() || scan.gaps.front().next_record > i;
      }
      if (record.type == RecordType::kEvent) return false;
    }
    return false;
  }
};

class Replay {
 public:
  Replay(Disk& disk, RecordCodec& codec, const Origin& origin)
      : disk_(disk), codec_(codec), origin_(origin) {}

  StatusOr<Replayed> run() {
    RETURN_IF_ERROR(read_headers());
    RETURN_IF_ERROR(read_segments());
    for (size_t i = 0; i < segments_.size(); ++i) apply_segment(i);
    for (const Segment& segment : segments_) {
      if (!segment.scan.gaps.empty() || segment.scan.records.empty()) continue;
      const SegmentRecord& last = segment.scan.records.back();
      const uint64_t end = last.offset + last.bytes;
      if (end >= segment.bytes.size()) continue;
      result_.too_long.emplace_back(segment.header.number, end);
    }
    result_.incomplete = result_.state.end_gap();
    for (const RequestNumber number : result_.state.in_order()) {
      RETURN_IF_ERROR(restore(number));
    }
    return std::move(result_);
  }

 private:
  Status read_headers();
  void leave_out_strangers();
  Status read_segments();
  uint64_t find_durable() const;

  void apply_segment(size_t index);
  void begin_with(const Segment& segment);
  void load_snapshot(const Segment& segment, const SegmentRecord& record);
  bool apply_event(const Segment& segment, const SegmentRecord& record, uint64_t limit);
  bool skip_to(const Segment& segment, uint64_t sequence);
  void name_gap(const Segment& segment, const SegmentGap& gap, uint64_t limit);
  void report(const Segment& segment, const std::string& problem);

  Status restore(RequestNumber number);
  // nullopt: the record of this place is damaged.
  StatusOr<std::optional<Entries>> read_place(const Place& place);

  Disk& disk_;
  RecordCodec& codec_;
  const Origin& origin_;
  Replayed result_;
  std::map<uint64_t, SegmentHeader> headers_;
  std::vector<Segment> segments_;  // from the one whose snapshot is used
  uint64_t durable_ = 0;           // some record or snapshot tells that these were durable
};

Status Replay::read_headers() {
  ASSIGN_OR_RETURN(const std::vector<DiskFile> files, disk_.list());
  std::vector<uint64_t> headless;
  for (const DiskFile& file : files) {
    const std::optional<uint64_t> number = segment_number(file.name);
    if (!number) continue;
    result_.segments[*number] = file.bytes;
    result_.next_segment = std::max(result_.next_segment, *number + 1);
    ASSIGN_OR_RETURN(const std::string head, disk_.read(file.name, 0, kSegmentHeaderBytes));
    if (is_zero(head)) continue;  // reserved for later, but not begun
    const StatusOr<SegmentHeader> header = read_segment_header(head);
    if (header.ok() && header->number == *number) {
      headers_[*number] = *header;
    } else if (error_id(header.status()) == "TRI-JRN-002") {
      return header.status();
    } else {
      headless.push_back(*number);
    }
  }
  if (!headers_.empty()) result_.journal = headers_.rbegin()->second.journal;
  leave_out_strangers();
  for (const uint64_t number : headless) {
    if (headers_.empty()) {
      result_.damage.push_back(
          invalid("TRI-JRN-001", "the header of {} is damaged", segment_name(number)));
    } else if (number > headers_.rbegin()->first) {
      // The process died while it wrote the first bytes of the segment.
      result_.cut_bytes += kSegmentHeaderBytes;
    }
    // An earlier one may have been left by such a death before the last start. If it had records,
    // the gap in the sequence names them.
  }
  return ok_status();
}

void Replay::leave_out_strangers() {
  std::erase_if(headers_, [&](const auto& entry) {
    if (entry.second.journal == result_.journal) return false;
    result_.damage.push_back(invalid(
        "TRI-JRN-001", "{} belongs to another journal and is left out", segment_name(entry.first)));
    result_.segments.erase(entry.first);
    return true;
  });
}

// Backwards, until one has a whole snapshot.
Status Replay::read_segments() {
  for (auto entry = headers_.rbegin(); entry != headers_.rend(); ++entry) {
    Segment segment;
    segment.header = entry->second;
    ASSIGN_OR_RETURN(segment.bytes,
                     disk_.read(segment_name(entry->first), 0, result_.segments[entry->first]));
    segment.scan = scan_segment(segment.header, segment.bytes);
    segments_.push_back(std::move(segment));
    if (segments_.back().has_snapshot()) break;
  }
  std::reverse(segments_.begin(), segments_.end());
  durable_ = find_durable();
  return ok_status();
}

uint64_t Replay::find_durable() const {
  uint64_t durable = 0;
  for (const Segment& segment : segments_) {
    durable = std::max(durable, segment.header.base_sequence);
    for (const SegmentRecord& record : segment.scan.records) {
      durable = std::max(durable, record.header.durable);
    }
  }
  return durable;
}

void Replay::report(const Segment& segment, const std::string& problem) {
  result_.damage.push_back(
      invalid("TRI-JRN-001", "{}: {}", segment_name(segment.header.number), problem));
}

void Replay::apply_segment(size_t index) {
  const Segment& segment = segments_[index];
  const bool is_first = index == 0;
  const bool is_last = index + 1 == segments_.size();
  const uint64_t limit = is_last ? kNoLimit : segments_[index + 1].header.base_sequence;
  if (is_first) begin_with(segment);
  bool is_cut = false;
  auto gap = segment.scan.gaps.begin();
  for (size_t i = 0; i < segment.scan.records.size(); ++i) {
    const SegmentRecord& record = segment.scan.records[i];
    for (; gap != segment.scan.gaps.end() && gap->next_record == i; ++gap) {
      name_gap(segment, *gap, limit);
    }
    if (record.header.type != RecordType::kEvent) {
      if (is_first) load_snapshot(segment, record);
    } else if (!is_cut) {
      is_cut = !apply_event(segment, record, limit);
    }
    if (is_cut) result_.cut_bytes += record.bytes;
  }
  for (; gap != segment.scan.gaps.end(); ++gap) name_gap(segment, *gap, limit);
  if (!is_last && result_.sequence < limit) skip_to(segment, limit + 1);
}

void Replay::begin_with(const Segment& segment) {
  result_.sequence = segment.header.base_sequence;
  // A snapshot of nothing: the process died before it could accept anything.
  if (segment.has_snapshot() || (segment.header.base_sequence == 0 && durable_ == 0)) return;
  report(segment, "its snapshot is damaged; requests that only stood there are lost");
  result_.state.note_gap();
}

void Replay::load_snapshot(const Segment& segment, const SegmentRecord& record) {
  Entries entries;
  Status status = codec_.decode(record.body, entries);
  for (const Entry& entry : entries) {
    const bool counts =
        std::holds_alternative<RequestState>(entry) || std::holds_alternative<Life>(entry);
    if (status.ok() && counts) status = result_.state.apply(entry, {});
  }
  if (status.ok()) return;
  report(segment, format_text("at byte {}, {}", record.offset, message_without_id(status)));
  result_.state.note_gap();
}

// The records up to `sequence` are missing. False if nobody was told that they are durable: they,
// and all behind them, never happened.
bool Replay::skip_to(const Segment& segment, uint64_t sequence) {
  if (durable_ <= result_.sequence) return false;
  report(segment,
         format_text("the records {} to {} are lost; requests that ran then are cut at their last "
                     "certain token",
                     result_.sequence + 1,
                     sequence - 1));
  result_.state.note_gap();
  result_.sequence = sequence - 1;
  return true;
}

bool Replay::apply_event(const Segment& segment, const SegmentRecord& record, uint64_t limit) {
  const uint64_t sequence = record.header.sequence;
  if (sequence <= result_.sequence || sequence > limit) return true;
  if (sequence != result_.sequence + 1 && !skip_to(segment, sequence)) return false;
  result_.sequence = sequence;
  Entries entries;
  Status status = codec_.decode(record.body, entries);
  const Place place{segment.header.number, record.offset, record.bytes};
  for (size_t i = 0; status.ok() && i < entries.size(); ++i) {
    status = result_.state.apply(entries[i], place);
  }
  if (!status.ok()) {
    report(segment, format_text("record {}, {}", sequence, message_without_id(status)));
    result_.state.note_gap();
  }
  return true;
}

// Bytes of a write that did not end, unless a record that was durable is missing now.
void Replay::name_gap(const Segment& segment, const SegmentGap& gap, uint64_t limit) {
  if (std::min(durable_, limit) <= result_.sequence) {
    result_.cut_bytes += gap.end - gap.begin;
  } else {
    report(segment, format_text("the bytes {} to {} are damaged", gap.begin, gap.end));
  }
}

StatusOr<std::optional<Entries>> Replay::read_place(const Place& place) {
  if (!result_.segments.contains(place.segment)) return std::optional<Entries>();
  ASSIGN_OR_RETURN(const std::string bytes,
                   disk_.read(segment_name(place.segment), place.offset, place.bytes));
  const auto record = read_record(record_seed({result_.journal, place.segment}), bytes);
  Entries entries;
  if (!record || !codec_.decode(record->body, entries).ok()) return std::optional<Entries>();
  return std::optional(std::move(entries));
}

template <class T>
T* find_entry(std::optional<Entries>& entries, RequestNumber number) {
  if (!entries) return nullptr;
  for (Entry& entry : *entries) {
    T* value = std::get_if<T>(&entry);
    if (value != nullptr && value->number == number) return value;
  }
  return nullptr;
}

Status Replay::restore(RequestNumber number) {
  const RequestState& state = result_.state.find(number)->state;
  ASSIGN_OR_RETURN(std::optional<Entries> accept_record, read_place(state.accepted_at));
  auto* accepted = find_entry<Accepted>(accept_record, number);
  std::optional<Entries> answer_record;
  if (state.answer_at) {
    ASSIGN_OR_RETURN(answer_record, read_place(*state.answer_at));
  }
  auto* answer = find_entry<Answer>(answer_record, number);
  const bool is_whole = accepted != nullptr && accepted->request.id == state.id &&
                        (!state.answer_at || (answer != nullptr && answer->id == state.id));
  if (!is_whole) {
    result_.damage.push_back(invalid(
        "TRI-JRN-001",
        "the record of a request in {} is damaged: the request is lost",
        segment_name(state.answer_at ? state.answer_at->segment : state.accepted_at.segment)));
    result_.state.forget(number);
    return ok_status();
  }
  const Origin& from = accepted->origin;
  const auto differs = [](const std::string& a, const std::string& b) {
    return !a.empty() && !b.empty() && a != b;
  };
  if (differs(from.model, origin_.model) || differs(from.tokenizer, origin_.tokenizer) ||
      differs(from.chat_template, origin_.chat_template)) {
    ++result_.num_foreign;
    return ok_status();
  }
  RestoredRequest& request = result_.requests.emplace_back();
  request.accepted = std::move(accepted->request);
  request.compatibility = state.compatibility;
  request.crashes = state.crashes;
  if (answer != nullptr) {
    request.choices = std::move(answer->choices);
  } else {
    request.choices = state.choices;
  }
  for (RestoredChoice& choice : request.choices) {
    if (choice.ended) choice.ended->id = state.id;
  }
  const auto num_choices = static_cast<size_t>(request.accepted.submit.params.num_choices);
  request.choices.resize(num_choices);
  return ok_status();
}

}  // namespace

StatusOr<Replayed> replay(Disk& disk, RecordCodec& codec, const Origin& origin) {
  return Replay(disk, codec, origin).run();
}

}  // namespace trireme::journal

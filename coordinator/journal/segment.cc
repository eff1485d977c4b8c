#include "coordinator/journal/segment.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "coordinator/journal/crc32c.h"
#include "coordinator/journal/record_codec.h"

namespace trireme::journal {
namespace {

constexpr std::string_view kMagic = "TRIREMEJ";
constexpr std::string_view kPrefix = "segment-";
constexpr std::string_view kSuffix = ".journal";
constexpr size_t kCrcBytes = 4;

// A segment's header: one of its copies suffices.
constexpr size_t kHeaderCopyBytes = 64;
constexpr size_t kHeaderCopyAt[] = {0, kSegmentHeaderBytes / 2};

// Offsets within a copy.
constexpr size_t kVersionAt = 8;
constexpr size_t kHeaderCrcAt = 12;
constexpr size_t kJournalAt = 16;
constexpr size_t kNumberAt = 32;
constexpr size_t kBaseAt = 40;

// Offsets within a record's header; the checksum stands first and covers everything behind it.
constexpr size_t kLengthAt = 4;
constexpr size_t kSequenceAt = 8;
constexpr size_t kLagAt = 16;
constexpr size_t kTypeAt = 20;

template <class T>
void put(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));  // little endian
}

template <class T>
T get(std::string_view bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

uint32_t header_crc(std::string_view header) {
  const uint32_t head = extend_crc32c(0, header.substr(0, kHeaderCrcAt));
  return extend_crc32c(head, header.substr(kJournalAt, kHeaderCopyBytes - kJournalAt));
}

bool is_zero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

// The first word at or behind `at` that is not zero; the end of `segment` if there is none.
size_t skip_zeros(std::string_view segment, size_t at) {
  while (at + kRecordAlignment <= segment.size() && get<uint64_t>(segment, at) == 0) {
    at += kRecordAlignment;
  }
  const bool is_end = at >= segment.size() || is_zero(segment.substr(at, kRecordAlignment));
  return is_end ? segment.size() : at;
}

// The fields of a header that a record may have, before its checksum is computed.
bool is_plausible(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) return false;
  const auto length = get<uint32_t>(bytes, kLengthAt);
  const auto type = get<uint32_t>(bytes, kTypeAt);
  return length <= kMaxBodyBytes && record_bytes(length) <= bytes.size() && type >= 1 &&
         type <= static_cast<uint32_t>(RecordType::kSnapshotEnd) &&
         get<uint32_t>(bytes, kLagAt) <= get<uint64_t>(bytes, kSequenceAt);
}

// The next record at or behind `at`. Damage may hold any bytes, even such as seem to be headers, so
// that the bytes that are summed up are bounded: beyond `budget` nothing is found.
size_t find_record(uint32_t seed, std::string_view segment, size_t at, uint64_t& budget) {
  for (at = skip_zeros(segment, at); at < segment.size();
       at = skip_zeros(segment, at + kRecordAlignment)) {
    const std::string_view rest = segment.substr(at);
    if (!is_plausible(rest)) continue;
    const uint64_t bytes = record_bytes(get<uint32_t>(rest, kLengthAt));
    if (bytes > budget) return segment.size();
    budget -= bytes;
    if (read_record(seed, rest)) return at;
  }
  return segment.size();
}

}  // namespace

std::string segment_name(uint64_t number) {
  return format_text("{}{:016}{}", std::string(kPrefix), number, std::string(kSuffix));
}

std::optional<uint64_t> segment_number(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(std::min(kSuffix.size(), name.size()));
  constexpr size_t kDigits = 16;
  if (name.size() != kDigits) return std::nullopt;
  uint64_t number = 0;
  for (const char digit : name) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(digit - '0');
  }
  return number;
}

std::string encode(const SegmentHeader& header) {
  std::string copy(kHeaderCopyBytes, '\0');
  kMagic.copy(copy.data(), kMagic.size());
  put(copy, kVersionAt, kFormatVersion);
  put(copy, kJournalAt, header.journal.high);
  put(copy, kJournalAt + sizeof(uint64_t), header.journal.low);
  put(copy, kNumberAt, header.number);
  put(copy, kBaseAt, header.base_sequence);
  put(copy, kHeaderCrcAt, header_crc(copy));
  std::string bytes(kSegmentHeaderBytes, '\0');
  for (const size_t at : kHeaderCopyAt) bytes.replace(at, copy.size(), copy);
  return bytes;
}

StatusOr<SegmentHeader> read_segment_header(std::string_view segment) {
  for (const size_t at : kHeaderCopyAt) {
    if (segment.size() < at + kHeaderCopyBytes) break;
    const std::string_view copy = segment.substr(at, kHeaderCopyBytes);
    if (!copy.starts_with(kMagic) || get<uint32_t>(copy, kHeaderCrcAt) != header_crc(copy)) {
      continue;
    }
    const auto version = get<uint32_t>(copy, kVersionAt);
    if (version > kFormatVersion) {
      return invalid("TRI-JRN-002",
                     "the journal has format version {}, this program reads up to {}; use the "
                     "release that wrote it, or another --state folder",
                     version,
                     kFormatVersion);
    }
    return SegmentHeader{
        {get<uint64_t>(copy, kJournalAt), get<uint64_t>(copy, kJournalAt + sizeof(uint64_t))},
        get<uint64_t>(copy, kNumberAt),
        get<uint64_t>(copy, kBaseAt)};
  }
  return invalid("TRI-JRN-001", "a file of {} bytes has no segment header", segment.size());
}

uint32_t record_seed(const SegmentHeader& header) {
  std::string name(3 * sizeof(uint64_t), '\0');
  put(name, 0, header.journal.high);
  put(name, sizeof(uint64_t), header.journal.low);
  put(name, 2 * sizeof(uint64_t), header.number);
  return extend_crc32c(0, name);
}

uint64_t record_bytes(uint64_t body_bytes) {
  const uint64_t bytes = kRecordHeaderBytes + body_bytes;
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

void append_record(uint32_t seed,
                   const RecordHeader& header,
                   std::string_view body,
                   std::string& out) {
  const uint64_t lag = header.sequence - header.durable;
  std::string head(kRecordHeaderBytes, '\0');
  put(head, kLengthAt, static_cast<uint32_t>(body.size()));
  put(head, kSequenceAt, header.sequence);
  put(head, kLagAt, static_cast<uint32_t>(std::min<uint64_t>(lag, UINT32_MAX)));
  put(head, kTypeAt, static_cast<uint32_t>(header.type));
  const uint32_t head_crc = extend_crc32c(seed, std::string_view(head).substr(kCrcBytes));
  put(head, 0, extend_crc32c(head_crc, body));
  const size_t end = out.size() + record_bytes(body.size());
  out += head;
  out += body;
  out.resize(end, '\0');
}

std::optional<SegmentRecord> read_record(uint32_t seed, std::string_view bytes) {
  if (!is_plausible(bytes)) return std::nullopt;
  const auto length = get<uint32_t>(bytes, kLengthAt);
  const std::string_view summed = bytes.substr(kCrcBytes, kRecordHeaderBytes - kCrcBytes + length);
  if (extend_crc32c(seed, summed) != get<uint32_t>(bytes, 0)) return std::nullopt;
  const size_t end = kRecordHeaderBytes + length;
  if (!is_zero(bytes.substr(end, record_bytes(length) - end))) return std::nullopt;
  const auto sequence = get<uint64_t>(bytes, kSequenceAt);
  return SegmentRecord{{static_cast<RecordType>(get<uint32_t>(bytes, kTypeAt)),
                        sequence,
                        sequence - get<uint32_t>(bytes, kLagAt)},
                       0,
                       record_bytes(length),
                       bytes.substr(kRecordHeaderBytes, length)};
}

SegmentScan scan_segment(const SegmentHeader& header, std::string_view segment) {
  SegmentScan scan;
  const uint32_t seed = record_seed(header);
  constexpr uint64_t kBudgetFactor = 16;
  uint64_t budget = kBudgetFactor * segment.size();
  size_t at = kSegmentHeaderBytes;
  while (at < segment.size()) {
    if (auto record = read_record(seed, segment.substr(at))) {
      record->offset = at;
      at += record->bytes;
      scan.records.push_back(*record);
      continue;
    }
    const size_t begin = skip_zeros(segment, at);
    if (begin == segment.size()) break;
    const size_t end = find_record(seed, segment, at, budget);
    scan.gaps.push_back({at, end, scan.records.size()});
    at = end;
  }
  return scan;
}

}  // namespace trireme::journal

// The bytes of a segment: its header, and records around bodies (docs/formats.md, Journal). Pure
// functions; a file is hostile input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trireme::journal {

constexpr uint32_t kFormatVersion = 2;        // 2: entries of suspects
constexpr size_t kSegmentHeaderBytes = 8192;  // the header stands there twice, a page apart
constexpr size_t kRecordHeaderBytes = 24;
constexpr size_t kRecordAlignment = 8;

// 128 random bits, drawn when the journal is created; all segments carry it.
struct JournalId {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const JournalId&) const = default;
};

struct SegmentHeader {
  JournalId journal;
  uint64_t number = 0;
  uint64_t base_sequence = 0;  // of the last record that the snapshot includes
  bool operator==(const SegmentHeader&) const = default;
};

enum class RecordType : uint8_t {
  kEvent = 1,
  kSnapshot = 2,     // at the head of a segment; its sequence is base_sequence
  kSnapshotEnd = 3,  // the last record of a snapshot
};

struct RecordHeader {
  RecordType type = RecordType::kEvent;
  uint64_t sequence = 0;  // events: 1, 2, 3, ...
  uint64_t durable = 0;   // all records up to this one were durable before this one was written
  bool operator==(const RecordHeader&) const = default;
};

std::string segment_name(uint64_t number);
// nullopt: the file is no segment.
std::optional<uint64_t> segment_number(std::string_view name);

std::string encode(const SegmentHeader& header);

// TRI-JRN-002: a newer format version. TRI-JRN-001: anything else but a header.
StatusOr<SegmentHeader> read_segment_header(std::string_view segment);

// All records of a segment continue this checksum, so that none passes for one of another segment.
uint32_t record_seed(const SegmentHeader& header);

// Bytes that the record of a body takes.
uint64_t record_bytes(uint64_t body_bytes);

void append_record(uint32_t seed,
                   const RecordHeader& header,
                   std::string_view body,
                   std::string& out);

struct SegmentRecord {
  RecordHeader header;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::string_view body;
};

// The record at the beginning of `bytes`, or nullopt. `offset` is left 0.
std::optional<SegmentRecord> read_record(uint32_t seed, std::string_view bytes);

// Bytes between two records, or behind the last one, that are neither a record nor zero.
struct SegmentGap {
  uint64_t begin = 0;
  uint64_t end = 0;
  size_t next_record = 0;  // index of the record behind it
};

struct SegmentScan {
  std::vector<SegmentRecord> records;
  std::vector<SegmentGap> gaps;
};

// Finds every record of `segment`, whose header has been read, also behind damage.
SegmentScan scan_segment(const SegmentHeader& header, std::string_view segment);

}  // namespace trireme::journal

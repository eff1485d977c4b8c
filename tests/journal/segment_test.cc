#include "coordinator/journal/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "coordinator/journal/crc32c.h"

namespace trireme::journal {
namespace segment_test {

const SegmentHeader kHeader{{0x0123456789abcdef, 0xfedcba9876543210}, 5, 40};

TEST(Crc32c, KnownValuesAndBothVariantsAgree) {
  // RFC 3720, B.4.
  EXPECT_EQ(extend_crc32c(0, std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(extend_crc32c(0, std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(extend_crc32c(0, "123456789"), 0xE3069283u);
  std::mt19937_64 random(1);
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    bytes.push_back(static_cast<char>(random()));
    const auto seed = static_cast<uint32_t>(random());
    EXPECT_EQ(extend_crc32c(seed, bytes), extend_crc32c_by_table(seed, bytes)) << i;
    const size_t cut = random() % bytes.size();
    const uint32_t head = extend_crc32c(seed, std::string_view(bytes).substr(0, cut));
    EXPECT_EQ(extend_crc32c(head, std::string_view(bytes).substr(cut)), extend_crc32c(seed, bytes));
  }
}

TEST(Segment, NamesSortByNumber) {
  EXPECT_EQ(segment_name(17), "segment-0000000000000017.journal");
  EXPECT_EQ(segment_number(segment_name(17)), 17u);
  for (const char* name : {"lock", "segment-17.journal", "segment-00000000000000x7.journal", ""}) {
    EXPECT_EQ(segment_number(name), std::nullopt) << name;
  }
}

TEST(Segment, OneCopyOfTheHeaderSuffices) {
  const std::string header = encode(kHeader);
  ASSERT_EQ(header.size(), kSegmentHeaderBytes);
  EXPECT_EQ(*read_segment_header(header), kHeader);
  std::string first = header;
  first[20] = 'x';
  EXPECT_EQ(*read_segment_header(first), kHeader);
  std::string second = header;
  second[kSegmentHeaderBytes / 2 + 3] = 'x';
  EXPECT_EQ(*read_segment_header(second), kHeader);
  first[kSegmentHeaderBytes / 2 + 3] = 'x';
  EXPECT_EQ(error_id(read_segment_header(first).status()), "TRI-JRN-001");
  EXPECT_EQ(error_id(read_segment_header("").status()), "TRI-JRN-001");
}

TEST(Segment, ANewerFormatVersionIsNamed) {
  std::string header = encode(kHeader);
  for (const size_t at : {size_t{0}, kSegmentHeaderBytes / 2}) {
    header[at + 8] = kFormatVersion + 1;
    const uint32_t head = extend_crc32c(0, std::string_view(header).substr(at, 12));
    const uint32_t crc = extend_crc32c(head, std::string_view(header).substr(at + 16, 48));
    memcpy(header.data() + at + 12, &crc, sizeof(crc));
  }
  const Status status = read_segment_header(header).status();
  EXPECT_EQ(error_id(status), "TRI-JRN-002");
  EXPECT_NE(message_of(status).find(format_text("version {}", kFormatVersion + 1)),
            std::string::npos);
}

// Five events behind the header, and room.
std::string sample_segment(std::vector<uint64_t>* offsets = nullptr) {
  std::string segment = encode(kHeader);
  for (uint64_t i = 0; i < 5; ++i) {
    if (offsets != nullptr) offsets->push_back(segment.size());
    const std::string body(10 + i * 33, static_cast<char>('a' + i));
    append_record(record_seed(kHeader), {RecordType::kEvent, 41 + i, 40 + i}, body, segment);
  }
  if (offsets != nullptr) offsets->push_back(segment.size());
  segment.resize(segment.size() + 1000, '\0');
  return segment;
}

TEST(Segment, RecordsAreFoundInOrder) {
  const std::string segment = sample_segment();
  const SegmentScan scan = scan_segment(kHeader, segment);
  ASSERT_EQ(scan.records.size(), 5u);
  EXPECT_TRUE(scan.gaps.empty());
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(scan.records[i].header, (RecordHeader{RecordType::kEvent, 41 + i, 40 + i}));
    EXPECT_EQ(scan.records[i].body, std::string(10 + i * 33, static_cast<char>('a' + i)));
  }
  EXPECT_TRUE(scan_segment(kHeader, encode(kHeader)).records.empty());
}

TEST(Segment, RecordsOfAnotherSegmentOrJournalDoNotCount) {
  const std::string segment = sample_segment();
  SegmentHeader other = kHeader;
  other.number = 6;
  EXPECT_TRUE(scan_segment(other, segment).records.empty());
  other = kHeader;
  other.journal.low ^= 1;
  EXPECT_TRUE(scan_segment(other, segment).records.empty());
}

TEST(Segment, EveryCutLeavesTheRecordsBeforeIt) {
  std::vector<uint64_t> offsets;
  const std::string whole = sample_segment(&offsets);
  for (uint64_t cut = kSegmentHeaderBytes; cut <= offsets.back(); ++cut) {
    std::string segment = whole;
    std::fill(segment.begin() + static_cast<ptrdiff_t>(cut), segment.end(), '\0');
    const SegmentScan scan = scan_segment(kHeader, segment);
    size_t before = 0;
    while (before < 5 && offsets[before + 1] <= cut) ++before;
    // Padding is zero: a record whose padding alone is cut is whole.
    EXPECT_GE(scan.records.size(), before) << cut;
    EXPECT_LE(scan.records.size(), before + 1) << cut;
    // A file may also end there.
    EXPECT_EQ(scan_segment(kHeader, whole.substr(0, cut)).records.size(), before) << cut;
  }
}

TEST(Segment, EveryFlippedBitOfARecordCostsThatRecordAndShows) {
  std::vector<uint64_t> offsets;
  std::string segment = sample_segment(&offsets);
  for (uint64_t bit = offsets[0] * 8; bit < offsets.back() * 8; ++bit) {
    char& byte = segment[bit / 8];
    const char old = byte;
    byte = static_cast<char>(byte ^ (1 << (bit % 8)));
    const SegmentScan scan = scan_segment(kHeader, segment);
    EXPECT_EQ(scan.records.size(), 4u) << bit;
    ASSERT_EQ(scan.gaps.size(), 1u) << bit;
    size_t hit = 0;
    while (offsets[hit + 1] * 8 <= bit) ++hit;
    EXPECT_EQ(scan.gaps[0].next_record, hit);
    EXPECT_EQ(scan.gaps[0].begin, offsets[hit]);
    byte = old;
  }
}

TEST(Segment, AHoleOfZerosInsideShows) {
  std::vector<uint64_t> offsets;
  std::string segment = sample_segment(&offsets);
  std::fill(segment.begin() + static_cast<ptrdiff_t>(offsets[1]),
            segment.begin() + static_cast<ptrdiff_t>(offsets[3]),
            '\0');
  const SegmentScan scan = scan_segment(kHeader, segment);
  EXPECT_EQ(scan.records.size(), 3u);
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_EQ(scan.gaps[0].begin, offsets[1]);
  EXPECT_EQ(scan.gaps[0].end, offsets[3]);
}

// Headers of records of nearly the whole segment, everywhere: each would cost a checksum over it.
TEST(Segment, BytesThatSeemToBeHeadersDoNotTakeForEver) {
  std::string segment = encode(kHeader);
  segment.resize(8 << 20, '\0');
  for (size_t at = kSegmentHeaderBytes; at + 24 <= segment.size(); at += 24) {
    segment[at] = 1;
    const auto length = static_cast<uint32_t>(segment.size() - at - 24);
    memcpy(&segment[at + 4], &length, sizeof(length));
    segment[at + 8] = 50;
    segment[at + 20] = 1;
  }
  const SegmentScan scan = scan_segment(kHeader, segment);
  EXPECT_TRUE(scan.records.empty());
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_EQ(scan.gaps[0].end, segment.size());
}

TEST(Segment, ThirtyThousandMutatedSegmentsAreScannedToTheirEnd) {
  std::mt19937_64 random(4);
  const std::string whole = sample_segment();
  for (int i = 0; i < 30'000; ++i) {
    std::string segment = whole;
    for (uint64_t k = 0; k < 1 + random() % 8; ++k) {
      segment[random() % segment.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) segment.resize(random() % segment.size());
    const StatusOr<SegmentHeader> header = read_segment_header(segment);
    const SegmentScan scan = scan_segment(header.ok() ? *header : kHeader, segment);
    EXPECT_LE(scan.records.size(), 5u);
  }
}

}  // namespace segment_test
}  // namespace trireme::journal

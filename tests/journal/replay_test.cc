#include "coordinator/journal/replay.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/journal/crc32c.h"
#include "tests/journal/journal_run.h"

namespace trireme::journal {
namespace replay_test {

LogOptions one_segment() {
  LogOptions options;
  options.journal_bytes = 8 << 20;
  options.segment_bytes = 1 << 20;
  return options;
}

record::Accepted accepted(uint64_t id) {
  record::Accepted accepted;
  accepted.id = {1, id};
  accepted.submit.prompt = {1, 2, 3};
  return accepted;
}

record::Tokens tokens(uint64_t id, std::vector<TokenId> ids) {
  return {{1, id}, 0, std::move(ids), {}};
}

// Three requests; the second is over, the third began last.
void append_three(JournalRun& run) {
  run.append({accepted(1)});
  run.append({accepted(2)});
  run.append({tokens(1, {11}), tokens(2, {21})});
  record::Ended ended;
  ended.id = {1, 2};
  ended.num_ids = 2;
  run.append({tokens(1, {12}), tokens(2, {22}), ended});
  run.operate_all();
  run.append({accepted(3)});
  run.operate_all();
  run.append({tokens(1, {13}), tokens(3, {31})});
  run.operate_all();
  run.append({tokens(1, {14}), tokens(3, {32})});
  run.operate_all();
}

std::vector<SegmentRecord> records_of(FakeDisk& disk, const std::string& name) {
  return scan_segment(*read_segment_header(disk.content(name)), disk.content(name)).records;
}

TEST(Replay, NothingIsAnEmptyJournal) {
  FakeDisk disk;
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->requests.empty());
  EXPECT_EQ(found->state.epoch(), 0u);
  EXPECT_EQ(found->next_segment, 1u);
  EXPECT_EQ(found->journal, JournalId());
}

TEST(Replay, RequestsComeInTheOrderOfTheirAcceptance) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  run.append({record::Forgotten{{1, 1}}});
  run.append({accepted(4)});  // takes the number of the first
  run.operate_all();
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->requests.size(), 3u);
  EXPECT_EQ(found->requests[0].accepted.id.low, 2u);
  EXPECT_EQ(found->requests[1].accepted.id.low, 3u);
  EXPECT_EQ(found->requests[2].accepted.id.low, 4u);
  EXPECT_EQ(found->requests[0].choices[0].ids, (std::vector<TokenId>{21, 22}));
  ASSERT_TRUE(found->requests[0].choices[0].ended);
  EXPECT_EQ(found->requests[0].choices[0].ended->id, (RequestId{1, 2}));
}

TEST(Replay, EveryPrefixIsAnEarlierState) {
  FakeDisk disk;
  JournalRun run(disk, 12, one_segment());
  ASSERT_TRUE(run.start());
  std::vector<std::string> states{""};
  for (int i = 0; i < 60; ++i) {
    const uint64_t before = run.num_appended();
    run.event();
    if (run.num_appended() == before) continue;
    states.push_back(describe(run.engine().reference().requests()));
  }
  run.operate_all();
  const std::string name = segment_name(1);
  const std::string whole = disk.content(name);
  size_t state = 0;
  for (const SegmentRecord& record : records_of(disk, name)) {
    std::string& content = disk.content(name);
    content = whole;
    std::fill(content.begin() + static_cast<ptrdiff_t>(record.offset), content.end(), '\0');
    const auto found = replay_all(disk);
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->damage.empty());
    const std::string text = describe(found->requests);
    // The journal's own records change no request.
    if (text != states[state]) ++state;
    ASSERT_LT(state, states.size());
    EXPECT_EQ(text, states[state]);
    content = whole;
  }
  EXPECT_GT(state, 20u);
}

TEST(Replay, RequestsOfAnotherModelWaitUntouched) {
  FakeDisk disk;
  LogOptions options = one_segment();
  options.origin = {"model-a", "tokenizer-a", "template-a"};
  JournalRun run(disk, 1, options);
  ASSERT_TRUE(run.start());
  append_three(run);
  const std::string all = describe(replay_all(disk)->requests);
  for (const Origin& other :
       {Origin{"model-b", "tokenizer-a", ""}, Origin{"", "tokenizer-b", ""}}) {
    RecordCodec codec(0);
    const auto found = replay(disk, codec, other);
    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(found->requests.empty());
    EXPECT_EQ(found->num_foreign, 3);
    EXPECT_EQ(found->state.num_requests(), 3);
  }
  RecordCodec codec(0);
  // No request is a chat: the template does not matter.
  EXPECT_EQ(describe(replay(disk, codec, {"model-a", "", "template-b"})->requests), all);
}

TEST(Replay, ANewerFormatIsRefusedAndLeftAsItIs) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  std::string& content = disk.content(segment_name(1));
  for (const size_t at : {size_t{0}, kSegmentHeaderBytes / 2}) {
    content[at + 8] = kFormatVersion + 1;
    const uint32_t head = extend_crc32c(0, std::string_view(content).substr(at, 12));
    const uint32_t crc = extend_crc32c(head, std::string_view(content).substr(at + 16, 48));
    memcpy(content.data() + at + 12, &crc, sizeof(crc));
  }
  const std::string before = content;
  const uint64_t writes = disk.num_writes();
  EXPECT_EQ(error_id(replay_all(disk).status()), "TRI-JRN-002");
  EXPECT_FALSE(run.start());
  EXPECT_EQ(disk.content(segment_name(1)), before);
  EXPECT_EQ(disk.num_writes(), writes);
}

// The process died while it wrote the header of a segment; the next one began the segment after it.
TEST(Replay, AHeaderThatWasNeverWholeIsNoDamageBehindTheNextStart) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  const std::string text = describe(replay_all(disk)->requests);
  const std::string torn = segment_name(2);
  ASSERT_TRUE(disk.reserve(torn, 4096).ok());
  disk.content(torn)[3] = 'x';
  const auto first = replay_all(disk);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->damage.empty());
  EXPECT_GT(first->cut_bytes, 0u);
  ASSERT_TRUE(run.start());
  const auto again = replay_all(disk);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->damage.empty()) << message_of(again->damage.front());
  EXPECT_EQ(describe(again->requests), text);
}

// A step that others followed is damaged: its request keeps the ids before it, one that was
// accepted later is whole.
TEST(Replay, DamageInsideIsNamedAndCostsOnlyWhatItHits) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  run.append({accepted(5)});
  run.append({tokens(5, {51})});
  run.operate_all();
  const std::string name = segment_name(1);
  std::vector<SegmentRecord> records = records_of(disk, name);
  // The events: a life, five of the requests, the answer of the second, two steps, two of the last.
  const SegmentRecord& step = records[records.size() - 4];
  disk.flip_bit(name, (step.offset + kRecordHeaderBytes) * 8);
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->damage.size(), 2u);
  EXPECT_EQ(error_id(found->damage[0]), "TRI-JRN-001");
  EXPECT_NE(message_of(found->damage[0]).find(name), std::string::npos);
  EXPECT_NE(message_of(found->damage[1]).find("are lost"), std::string::npos);
  ASSERT_EQ(found->requests.size(), 4u);
  EXPECT_EQ(found->requests[0].choices[0].ids, (std::vector<TokenId>{11, 12}));
  EXPECT_EQ(found->requests[1].choices[0].ids, (std::vector<TokenId>{21, 22}));
  EXPECT_TRUE(found->requests[2].choices[0].ids.empty());
  EXPECT_EQ(found->requests[3].choices[0].ids, (std::vector<TokenId>{51}));
  EXPECT_EQ(found->incomplete, (std::vector<RequestId>{{1, 1}, {1, 3}}));
}

TEST(Replay, ADamagedAcceptRecordCostsItsRequest) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  ASSERT_TRUE(run.start());  // a second segment, whose snapshot points back at the first
  const std::string name = segment_name(1);
  ASSERT_TRUE(disk.contains(name));
  const Place& place = run.log().state().find(0)->state.accepted_at;
  ASSERT_EQ(place.segment, 1u);
  disk.flip_bit(name, (place.offset + 30) * 8);
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->damage.size(), 1u);
  ASSERT_EQ(found->requests.size(), 2u);
  EXPECT_EQ(found->requests[0].accepted.id.low, 2u);
  // The loss is final: the next life does not report it again.
  ASSERT_TRUE(run.start());
  const auto again = replay_all(disk);
  EXPECT_TRUE(again->damage.empty());
  EXPECT_EQ(again->requests.size(), 2u);
}

TEST(Replay, ADamagedSnapshotIsMadeUpForByTheSegmentBefore) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  const std::string expected = describe(run.engine().reference().requests());
  ASSERT_TRUE(run.start());
  run.append({tokens(1, {15})});
  run.operate_all();
  ASSERT_TRUE(disk.contains(segment_name(1)));
  std::string newest;
  const std::vector<DiskFile> files = *disk.list();
  for (const DiskFile& file : files) {
    if (read_segment_header(disk.content(file.name)).ok()) newest = file.name;
  }
  const std::vector<SegmentRecord> records = records_of(disk, newest);
  ASSERT_EQ(records[0].header.type, RecordType::kSnapshot);
  disk.flip_bit(newest, (records[0].offset + 40) * 8);
  const auto found = replay_all(disk);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->damage.empty());
  EXPECT_TRUE(found->incomplete.empty());
  ASSERT_EQ(found->requests.size(), 3u);
  EXPECT_EQ(found->requests[0].choices[0].ids, (std::vector<TokenId>{11, 12, 13, 14, 15}));
}

TEST(Replay, ASegmentOfAnotherJournalIsLeftOut) {
  FakeDisk disk;
  JournalRun run(disk, 1, one_segment());
  ASSERT_TRUE(run.start());
  append_three(run);
  const std::string expected = describe(replay_all(disk)->requests);
  const std::string stray = segment_name(0);
  ASSERT_TRUE(disk.reserve(stray, kSegmentHeaderBytes).ok());
  ASSERT_TRUE(disk.write(stray, 0, encode(SegmentHeader{{9, 9}, 0, 0})).ok());
  const auto found = replay_all(disk);
  EXPECT_EQ(found->damage.size(), 1u);
  EXPECT_EQ(describe(found->requests), expected);
  ASSERT_TRUE(run.start());
  EXPECT_TRUE(disk.contains(stray));
}

}  // namespace replay_test
}  // namespace trireme::journal

#include "coordinator/journal/record_codec.h"

#include <gtest/gtest.h>

#include <map>

#include "coordinator/journal/request_numbers.h"
#include "tests/journal/journal_fixture.h"

namespace trireme::journal {
namespace record_codec_test {

constexpr int64_t kOffset = 1'700'000'000'000'000;

// Entries as the Engine would have given them.
Record to_record(const Entries& entries, std::map<RequestNumber, RequestId>& ids) {
  Record record;
  for (const Entry& entry : entries) {
    if (const auto* accepted = std::get_if<Accepted>(&entry)) {
      ids[accepted->number] = accepted->request.id;
      record.emplace_back(accepted->request);
    } else if (const auto* bound = std::get_if<Bound>(&entry)) {
      record.emplace_back(record::Bound{ids.at(bound->number), bound->compatibility});
    } else if (const auto* ended = std::get_if<Ended>(&entry)) {
      record.emplace_back(ended->end);
      std::get<record::Ended>(record.back()).id = ids.at(ended->number);
    } else if (const auto* suspect = std::get_if<Suspect>(&entry)) {
      record.emplace_back(record::Suspect{ids.at(suspect->number), suspect->crashes});
    } else if (const auto* forgotten = std::get_if<Forgotten>(&entry)) {
      record.emplace_back(record::Forgotten{ids.at(forgotten->number)});
    } else if (const auto* tokens = std::get_if<Tokens>(&entry)) {
      auto id = tokens->ids.begin();
      auto logprob = tokens->logprobs.begin();
      for (size_t run = 0; run < tokens->numbers.size(); ++run) {
        const int32_t count = tokens->counts.empty() ? 1 : tokens->counts[run];
        const int32_t choice = tokens->choices.empty() ? 0 : tokens->choices[run];
        record::Tokens to{ids.at(tokens->numbers[run]), choice, {id, id + count}, {}};
        id += count;
        const auto& scored = tokens->scored;
        if (std::find(scored.begin(), scored.end(), static_cast<int32_t>(run)) != scored.end()) {
          to.logprobs.assign(logprob, logprob + count);
          logprob += count;
        }
        record.emplace_back(std::move(to));
      }
    }
  }
  return record;
}

TEST(RecordCodec, RecordsComeBackAsTheyWere) {
  RandomEngine engine(7);
  RecordCodec codec(kOffset);
  RequestNumbers numbers{JournalState()};
  std::map<RequestNumber, RequestId> ids;
  for (int i = 0; i < 2000; ++i) {
    const Record record = i % 4 == 0 ? engine.accept(engine.propose()) : engine.step();
    std::string body;
    codec.encode(numbers.convert(record, {}), body);
    Entries entries;
    ASSERT_EQ(codec.decode(body, entries), ok_status());
    ASSERT_EQ(describe(to_record(entries, ids)), describe(record));
  }
}

TEST(RecordCodec, ADecodeOfTokensIsOneEntryOfColumns) {
  RequestNumbers numbers{JournalState()};
  Record record;
  for (uint64_t i = 0; i < 3; ++i) {
    record::Accepted accepted;
    accepted.id = {9, i};
    accepted.submit.prompt = {1};
    record.emplace_back(accepted);
  }
  numbers.convert(record, {});
  record.clear();
  record.emplace_back(record::Tokens{{9, 2}, 0, {5}, {}});
  record.emplace_back(record::Tokens{{9, 0}, 0, {6}, {}});
  Entries entries = numbers.convert(record, {});
  ASSERT_EQ(entries.size(), 1u);
  const auto& plain = std::get<Tokens>(entries[0]);
  EXPECT_EQ(plain.numbers, (std::vector<RequestNumber>{2, 0}));
  EXPECT_TRUE(plain.choices.empty());
  EXPECT_TRUE(plain.counts.empty());

  record.emplace_back(record::Tokens{{9, 1}, 3, {7, 8}, {}});
  record.emplace_back(record::Tokens{{9, 1}, 0, {9}, {}});
  entries = numbers.convert(record, {});
  const auto& mixed = std::get<Tokens>(entries[0]);
  EXPECT_EQ(mixed.choices, (std::vector<int32_t>{0, 0, 3, 0}));
  EXPECT_EQ(mixed.counts, (std::vector<int32_t>{1, 1, 2, 1}));
  EXPECT_EQ(mixed.ids, (std::vector<TokenId>{5, 6, 7, 8, 9}));
}

TEST(RecordCodec, TimesAreWallTimesOnDisk) {
  Random random(3);
  Accepted accepted{4, random_accepted(random, {1, 2}), {}};
  accepted.request.submit.deadline_us = 5'000'000;
  std::string body;
  RecordCodec(kOffset).encode({accepted}, body);
  // A later process: its clock began a second after the first one's.
  Entries entries;
  ASSERT_EQ(RecordCodec(kOffset + 1'000'000).decode(body, entries), ok_status());
  const record::Accepted& read = std::get<Accepted>(entries[0]).request;
  EXPECT_EQ(read.submit.deadline_us, 4'000'000);
  EXPECT_EQ(read.accepted_us, accepted.request.accepted_us - 1'000'000);

  accepted.request.submit.deadline_us = 0;
  RecordCodec(kOffset).encode({accepted}, body);
  ASSERT_EQ(RecordCodec(kOffset + 1'000'000).decode(body, entries), ok_status());
  EXPECT_EQ(std::get<Accepted>(entries[0]).request.submit.deadline_us, 0);
}

TEST(RecordCodec, AChatKeepsItsFormAndTheDigestOfItsTemplate) {
  Random random(5);
  Accepted accepted{0, random_accepted(random, {1, 2}), {"model", "tokenizer", "template"}};
  accepted.request.submit.format = std::make_shared<AnswerFormat>(
      AnswerFormat{nullptr, {{"f", {{"x", ParameterType::kString}}}}, true, true, "<a>", "{"});
  std::string body;
  RecordCodec(0).encode({accepted}, body);
  const auto dialect = std::make_shared<const Dialect>();
  Entries entries;
  ASSERT_EQ(RecordCodec(0, dialect).decode(body, entries), ok_status());
  const auto& read = std::get<Accepted>(entries[0]);
  EXPECT_EQ(read.origin, accepted.origin);
  EXPECT_EQ(read.request.submit.format->dialect, dialect);
  EXPECT_EQ(describe(RestoredRequest{read.request, "", {}}),
            describe(RestoredRequest{accepted.request, "", {}}));

  accepted.request.submit.format = nullptr;
  RecordCodec(0).encode({accepted}, body);
  ASSERT_EQ(RecordCodec(0, dialect).decode(body, entries), ok_status());
  EXPECT_EQ(std::get<Accepted>(entries[0]).origin.chat_template, "");
}

std::vector<std::string> sample_bodies() {
  RandomEngine engine(11);
  RecordCodec codec(kOffset);
  RequestNumbers numbers{JournalState()};
  std::vector<std::string> bodies;
  for (int i = 0; i < 40; ++i) {
    const Record record = i % 3 == 0 ? engine.accept(engine.propose()) : engine.step();
    codec.encode(numbers.convert(record, {"m", "t", "c"}), bodies.emplace_back());
  }
  uint32_t next = 0;
  for (const RestoredRequest& request : engine.reference().requests()) {
    const Place place{3, 4096, 80};
    const RequestId id = request.accepted.id;
    Entries entries;
    entries.emplace_back(Life{9});
    entries.emplace_back(Answer{next, id, request.choices});
    entries.emplace_back(RequestState{next, id, 7, place, std::nullopt, "cpu", request.choices});
    entries.emplace_back(RequestState{next++, id, 8, place, place, "cpu", {}});
    codec.encode(entries, bodies.emplace_back());
  }
  return bodies;
}

void mutate(Random& random, std::string& body) {
  const int32_t changes = 1 + number(random, 3);
  for (int32_t i = 0; i < changes && !body.empty(); ++i) {
    const auto at = static_cast<size_t>(number(random, static_cast<int32_t>(body.size())));
    switch (number(random, 4)) {
      case 0:
        body[at] = static_cast<char>(random());
        break;
      case 1:
        body[at] = static_cast<char>(body[at] ^ (1 << number(random, 8)));
        break;
      case 2:
        body.erase(at, static_cast<size_t>(1 + number(random, 8)));
        break;
      default:
        body.insert(at, 1, static_cast<char>(random()));
    }
  }
}

TEST(RecordCodec, ThirtyThousandMutatedBodiesAreReadOrRefused) {
  Random random(99);
  const std::vector<std::string> bodies = sample_bodies();
  RecordCodec codec(kOffset);
  int refused = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string body = bodies[random() % bodies.size()];
    mutate(random, body);
    Entries entries;
    const Status status = codec.decode(body, entries);
    if (!status.ok()) {
      ++refused;
      EXPECT_EQ(error_id(status), "TRI-JRN-001");
      continue;
    }
    // A body that is read can be written and read again, and a state takes it or refuses it.
    std::string again;
    codec.encode(entries, again);
    Entries others;
    EXPECT_EQ(codec.decode(again, others), ok_status());
    JournalState state;
    for (const Entry& entry : entries) (void)state.apply(entry, {});
  }
  EXPECT_GT(refused, 3000);
  EXPECT_LT(refused, 30'000);
}

TEST(RecordCodec, ABodyWithoutAKnownEntryIsRefused) {
  RecordCodec codec(0);
  Entries entries;
  EXPECT_EQ(codec.decode("", entries), ok_status());
  EXPECT_EQ(error_id(codec.decode(std::string("\x0a\x00", 2), entries)), "TRI-JRN-001");
  EXPECT_EQ(error_id(codec.decode("garbage", entries)), "TRI-JRN-001");
}

}  // namespace record_codec_test
}  // namespace trireme::journal

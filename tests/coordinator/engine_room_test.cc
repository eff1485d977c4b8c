// Room in the journal: asked for at the acceptance, and again before a request first runs.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_room_test {

class FakeRoom final : public Journal {
 public:
  void append(uint64_t, Record) override {}
  std::optional<uint64_t> take_durable() override { return std::nullopt; }
  JournalRoom reserve(const RequestId&, const SubmitRequest& submit) override {
    return submit.params.max_tokens > 100 ? JournalRoom::kNever : accepts;
  }
  bool reserve_run(const RequestId&) override {
    ++asked;
    return room-- > 0;
  }
  bool take_room_news() override { return false; }
  std::vector<Status> take_failures() override { return {}; }
  bool has_failed() override { return false; }
  JournalFigures figures() override { return {}; }

  JournalRoom accepts = JournalRoom::kReserved;
  int room = 0;  // requests that may run
  int asked = 0;
};

struct Room : testing::Test {
  Room() : cluster(options(), 1) { cluster.add_group(shape_of()); }
  EngineOptions options() {
    EngineOptions options = options_of();
    options.journal = &journal;
    return options;
  }
  FakeRoom journal;
  SimulatedCluster cluster;
};

TEST_F(Room, AnAcceptedRequestWaitsForItAndNothingOvertakes) {
  journal.room = 1;
  const int first = cluster.submit(prompt_of(9, 20, 1));
  const int second = cluster.submit(prompt_of(9, 20, 2));
  const int third = cluster.submit(prompt_of(9, 20, 3));
  cluster.run();
  EXPECT_TRUE(cluster.request(first).is_over());
  EXPECT_EQ(journal.room, -journal.asked + 1);
  for (const int waiting : {second, third}) {
    EXPECT_TRUE(cluster.request(waiting).accepted);
    EXPECT_TRUE(cluster.request(waiting).answers[0].ids.empty());
  }
  journal.room = 1;
  cluster.feed(event::Tick{});
  cluster.run();
  EXPECT_TRUE(cluster.request(second).is_over());
  EXPECT_TRUE(cluster.request(third).answers[0].ids.empty());
  journal.room = 1;
  cluster.feed(event::Tick{});
  cluster.run();
  EXPECT_EQ(cluster.request(third).answers[0].ids, alone(cluster.request(third).submit, 20));
}

TEST_F(Room, ARequestThatComesBackHasItsRoom) {
  journal.room = 1;
  const int number = cluster.submit(prompt_of(9, 60, 1));
  cluster.run(40);
  EXPECT_EQ(journal.asked, 1);
  cluster.lose_group(0);
  GroupShape next = shape_of();
  next.epoch = 2;
  cluster.add_group(next);
  cluster.run();
  EXPECT_EQ(journal.asked, 1);
  EXPECT_EQ(cluster.request(number).answers[0].ids, alone(cluster.request(number).submit, 60));
}

TEST_F(Room, AFullJournalRefusesAndATooSmallOneSaysSo) {
  const int large = cluster.submit(prompt_of(9, 101, 1));
  journal.accepts = JournalRoom::kFull;
  const int late = cluster.submit(prompt_of(9, 20, 2));
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(large).refusal), "TRI-JRN-007");
  EXPECT_EQ(field_of(cluster.request(large).refusal), "max_tokens");
  EXPECT_EQ(error_id(cluster.request(late).refusal), "TRI-JRN-006");
}

}  // namespace engine_room_test
}  // namespace trireme

// Requests of an earlier coordinator, as its journal gives them back.
#include <gtest/gtest.h>

#include "model/tokenizer/tokenizer.h"
#include "tests/coordinator/engine_fixture.h"
#include "tests/simulation/record_image.h"

namespace trireme {
namespace engine_restore_test {

constexpr int64_t kMuch = 1 << 20;

class EngineRestore : public testing::Test {
 protected:
  EngineRestore()
      : tokenizer_(Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json")
                       .value()) {}
  EngineOptions options() {
    EngineOptions options = options_of(tokenizer_.get());
    options.vocabulary_size = tokenizer_->vocabulary_size();
    options.journals = true;
    return options;
  }
  std::vector<TokenId> ideal(const SubmitRequest& submit, int32_t count, uint32_t choice = 0) {
    return expected_tokens(submit.prompt,
                           *submit.params.seed,
                           choice,
                           count,
                           static_cast<int32_t>(tokenizer_->vocabulary_size()));
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

// The coordinator ends after any number of records. Its successor, with what they hold, gives the
// client the rest of the answer from where it is: the same ids and text, one end.
TEST_F(EngineRestore, AnAnswerGoesOnAfterAnyRecord) {
  SubmitRequest submit = prompt_of(9, 24);
  submit.params.num_choices = 2;
  submit.params.echo = true;
  submit.params.sampling.num_logprobs = 1;
  const auto play = [&](size_t records, RecordImage& image, SimulatedCluster& cluster) {
    cluster.add_group(shape_of());
    const int number = cluster.submit(submit);
    while (cluster.records().size() < records && cluster.run_one()) {
    }
    for (size_t i = 0; i < std::min(records, cluster.records().size()); ++i) {
      image.apply(cluster.records()[i]);
    }
    return number;
  };
  SimulatedCluster whole(options(), 1);
  RecordImage unused;
  const int reference = play(SIZE_MAX, unused, whole);
  const size_t num_records = whole.records().size();
  ASSERT_GT(num_records, 10u);
  for (size_t records = 1; records <= num_records; ++records) {
    SimulatedCluster before(options(), 1);
    RecordImage image;
    const int number = play(records, image, before);
    SimulatedCluster after(options(), 2);
    after.feed(event::Restored{image.requests()});
    after.add_group(shape_of());
    const SimulatedRequest& seen = before.request(number);
    std::vector<int32_t> next;
    for (const SimulatedAnswer& answer : seen.answers) {
      next.push_back(answer.finishes > 0 ? kEndedIndex : static_cast<int32_t>(answer.ids.size()));
    }
    const bool is_over = seen.is_over();
    const int again =
        after.adopt(submit, seen.accepted ? seen.id : image.requests()[0].accepted.id);
    if (!is_over) {
      const int resumed = after.resume(again, 5, 1, next, kMuch);
      after.run();
      for (size_t choice = 0; choice < 2; ++choice) {
        const SimulatedAnswer& want = whole.request(reference).answers[choice];
        const SimulatedAnswer& first = seen.answers[choice];
        const SimulatedAnswer& rest = after.request(resumed).answers[choice];
        std::vector<TokenId> ids = first.ids;
        ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
        EXPECT_EQ(ids, want.ids) << "after " << records << " records";
        EXPECT_EQ(first.text + rest.text, want.text) << "after " << records << " records";
        EXPECT_EQ(first.logprobs.size() + rest.logprobs.size(), want.logprobs.size());
        EXPECT_EQ(first.finishes + rest.finishes, 1);
      }
    }
    EXPECT_TRUE(after.problems().empty()) << after.problems().front();
    const EngineStatus status = after.engine().status();
    EXPECT_EQ(status.waiting, 0);
    EXPECT_EQ(status.groups[0].pages_held, 0);
  }
}

// A choice whose last id ends it is over, although its end was not recorded.
TEST_F(EngineRestore, ARequestIsTestedForItsEndFirst) {
  SubmitRequest submit = prompt_of(9, 10);
  SubmitRequest stopping = prompt_of(9, 50);
  stopping.params.stop_token_ids = {ideal(stopping, 4)[3]};
  std::vector<RestoredRequest> restored(2);
  restored[0].accepted = {{1, 1}, 1, submit, 1};
  restored[0].choices = {{ideal(submit, 10), {}, std::nullopt}};
  restored[1].accepted = {{1, 2}, 1, stopping, 1};
  restored[1].choices = {{ideal(stopping, 4), {}, std::nullopt}};
  SimulatedCluster cluster(options(), 1);
  cluster.feed(event::Restored{restored});
  EXPECT_EQ(cluster.engine().status().waiting, 0);
  const int first = cluster.resume(cluster.adopt(submit, {1, 1}), 5, 1, {0}, kMuch);
  const int second = cluster.resume(cluster.adopt(stopping, {1, 2}), 5, 1, {0}, kMuch);
  cluster.run();
  EXPECT_EQ(cluster.request(first).answers[0].ending.reason, FinishReason::kLength);
  EXPECT_EQ(cluster.request(second).answers[0].ending.reason, FinishReason::kStop);
  EXPECT_EQ(cluster.request(second).answers[0].ids, ideal(stopping, 4));
}

// The values of a prompt are not kept: a request that is over without them is not resumed, whether
// or not its end was recorded, and its key is free.
TEST_F(EngineRestore, AnAnswerIsNotReadWithoutTheValuesThatBelongToIt) {
  SubmitRequest submit = prompt_of(9, 10);
  submit.params.num_prompt_logprobs = 1;
  submit.idempotency_key = "once";
  std::vector<RestoredRequest> restored(1);
  restored[0].accepted = {{1, 1}, 1, submit, 1};
  restored[0].choices = {{ideal(submit, 10), {}, std::nullopt}};
  SimulatedCluster cluster(options(), 1);
  cluster.feed(event::Restored{restored});
  const int resumed = cluster.resume(cluster.adopt(submit, {1, 1}), 5, 1, {10}, kMuch);
  cluster.add_group(shape_of());
  const int again = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(resumed).refusal), "TRI-REQ-037");
  EXPECT_NE(cluster.request(again).id, (RequestId{1, 1}));
  EXPECT_EQ(cluster.request(again).prompt_logprobs, 8);
  EXPECT_EQ(cluster.request(again).answers[0].ids, ideal(submit, 10));
}

// Values that the client may lack come from a choice that still runs.
TEST_F(EngineRestore, AChoiceThatRunsGivesTheValuesOfOneThatHasEnded) {
  SubmitRequest submit = prompt_of(9, 10);
  submit.params.num_prompt_logprobs = 1;
  submit.params.num_choices = 2;
  std::vector<RestoredRequest> restored(1);
  restored[0].accepted = {{1, 1}, 1, submit, 1};
  restored[0].choices = {{ideal(submit, 10), {}, std::nullopt}, {{}, {}, std::nullopt}};
  SimulatedCluster cluster(options(), 1);
  cluster.feed(event::Restored{restored});
  cluster.add_group(shape_of());
  const int resumed = cluster.resume(cluster.adopt(submit, {1, 1}), 5, 1, {0, 0}, kMuch);
  cluster.run();
  EXPECT_EQ(cluster.request(resumed).prompt_logprobs, 8);
  EXPECT_EQ(cluster.request(resumed).answers[0].ids, ideal(submit, 10));
  EXPECT_EQ(cluster.request(resumed).last_choices, 1);
}

TEST_F(EngineRestore, KeysDeadlinesAndPenaltyHistoryAreKept) {
  SubmitRequest submit = prompt_of(9, 30);
  submit.idempotency_key = "once";
  submit.params.sampling.repetition_penalty = 1.5f;
  SubmitRequest late = prompt_of(9, 30);
  late.deadline_us = 1'000;
  std::vector<RestoredRequest> restored(2);
  restored[0].accepted = {{1, 1}, 1, submit, 1};
  restored[0].choices = {{ideal(submit, 8), {}, std::nullopt}};
  restored[1].accepted = {{1, 2}, 1, late, 1};
  restored[1].choices.resize(1);
  SimulatedCluster cluster(options(), 1);
  cluster.feed(event::Restored{restored});
  cluster.advance(2'000);
  cluster.add_group(shape_of());
  const int again = cluster.submit(submit);
  const int expired = cluster.resume(cluster.adopt(late, {1, 2}), 5, 1, {0}, kMuch);
  cluster.run();
  EXPECT_EQ(cluster.request(again).id, (RequestId{1, 1}));
  EXPECT_EQ(cluster.request(again).answers[0].ids, ideal(submit, 30));
  EXPECT_EQ(error_id(cluster.request(expired).answers[0].ending.error), "TRI-REQ-038");
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

// `cancel` on disconnection: the client has 15 s to be back.
TEST_F(EngineRestore, ClientsOfTheEarlierCoordinatorAreAwaited) {
  SubmitRequest submit = prompt_of(9, 30);
  submit.on_disconnect = OnDisconnect::kCancel;
  std::vector<RestoredRequest> restored(1);
  restored[0].accepted = {{1, 1}, 1, submit, 1};
  restored[0].choices.resize(1);
  for (const TimeUs wait_us : {14'000'000, 16'000'000}) {
    SimulatedCluster cluster(options(), 1);
    cluster.feed(event::Restored{restored});
    cluster.advance(wait_us);
    const int again = cluster.resume(cluster.adopt(submit, {1, 1}), 5, 1, {0}, kMuch);
    EXPECT_EQ(cluster.request(again).refused, wait_us > 15'000'000);
  }
}

}  // namespace engine_restore_test
}  // namespace trireme

#include "clients/cpp/answer_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace answer_progress_test {

using door::kEndedIndex;
using testing::ElementsAre;

ClientEvent piece(int32_t choice, int32_t first_index, int num_ids) {
  door::Piece piece;
  piece.choice = choice;
  piece.first_index = first_index;
  piece.token_ids.resize(static_cast<size_t>(num_ids));
  return piece;
}

ClientEvent finished(int32_t choice) {
  door::Finished finished;
  finished.choice = choice;
  return finished;
}

bool take(AnswerProgress& progress, ClientEvent event) { return progress.take(event); }

TEST(AnswerProgress, CountsTheIdsOfEachChoiceAndItsEnd) {
  AnswerProgress progress;
  EXPECT_FALSE(progress.has_output());
  EXPECT_TRUE(take(progress, piece(1, 0, 3)));
  EXPECT_THAT(progress.next_index(), ElementsAre(0, 3));
  EXPECT_TRUE(take(progress, piece(0, 0, 1)));
  EXPECT_TRUE(take(progress, piece(0, 1, 4)));
  EXPECT_TRUE(take(progress, finished(1)));
  EXPECT_THAT(progress.next_index(), ElementsAre(5, kEndedIndex));
}

TEST(AnswerProgress, WhatWasReceivedIsNotNew) {
  AnswerProgress progress;
  take(progress, piece(0, 0, 3));
  EXPECT_FALSE(take(progress, piece(0, 0, 3)));
  EXPECT_FALSE(take(progress, piece(0, 2, 1)));
  EXPECT_TRUE(take(progress, piece(0, 3, 0))) << "text may come without ids";
  take(progress, finished(0));
  EXPECT_FALSE(take(progress, finished(0)));
  EXPECT_FALSE(take(progress, piece(0, 3, 2)));
}

TEST(AnswerProgress, BeginsWhereAResumeDoes) {
  AnswerProgress progress({7, kEndedIndex});
  EXPECT_TRUE(take(progress, piece(0, 7, 2)));
  EXPECT_FALSE(take(progress, finished(1)));
  EXPECT_THAT(progress.next_index(), ElementsAre(9, kEndedIndex));
}

TEST(AnswerProgress, LogprobsOfThePromptAreCutToTheNewOnes) {
  const auto logprobs = [](int32_t first, int32_t count) {
    door::PromptLogprobs message;
    message.first_position = first;
    for (int32_t i = first; i < first + count; ++i) {
      message.entries.emplace_back().token.id = i;
    }
    return ClientEvent(message);
  };
  AnswerProgress progress;
  EXPECT_TRUE(take(progress, logprobs(1, 3)));
  EXPECT_FALSE(take(progress, logprobs(1, 2)));
  ClientEvent more = logprobs(1, 5);
  ASSERT_TRUE(progress.take(more));
  const auto& cut = std::get<door::PromptLogprobs>(more);
  EXPECT_EQ(cut.first_position, 4);
  ASSERT_EQ(cut.entries.size(), 2u);
  EXPECT_EQ(cut.entries[0].token.id, 4);
  EXPECT_FALSE(take(progress, logprobs(4, 2)));
  EXPECT_FALSE(progress.has_output());
}

TEST(AnswerProgress, ValuesOfEachProbeAreCutToTheNewOnes) {
  const auto values = [](int32_t layer, int64_t offset, std::vector<float> row) {
    return ClientEvent(door::ProbeValues{0, 5, layer, offset, 6, std::move(row)});
  };
  AnswerProgress progress;
  EXPECT_TRUE(take(progress, values(0, 0, {1, 2, 3, 4, 5, 6})));
  EXPECT_TRUE(take(progress, values(0, 0, {1, 2, 3}))) << "the same probe twice";
  EXPECT_TRUE(take(progress, values(1, 0, {7})));
  progress.begin_stream();
  EXPECT_FALSE(take(progress, values(0, 0, {1, 2, 3, 4, 5, 6})));
  ClientEvent again = values(0, 0, {1, 2, 3, 4});
  ASSERT_TRUE(progress.take(again));
  EXPECT_EQ(std::get<door::ProbeValues>(again).offset, 3);
  EXPECT_THAT(std::get<door::ProbeValues>(again).values, ElementsAre(4));
  EXPECT_FALSE(take(progress, values(1, 0, {7})));
}

// The number of a choice comes from the other side of the door.
TEST(AnswerProgress, AChoiceThatCannotBeTakesNoMemory) {
  AnswerProgress progress;
  take(progress, piece(1 << 30, 0, 1));
  take(progress, piece(-5, 0, 1));
  EXPECT_LE(progress.next_index().size(), size_t{1} << 16);
}

}  // namespace answer_progress_test
}  // namespace trireme

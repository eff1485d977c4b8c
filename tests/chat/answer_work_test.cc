// The work of reading an answer: in proportion to its length, whatever it holds.
#include <gtest/gtest.h>

#include "model/chat/answer/answer_reader.h"
#include "model/chat/answer/marker_match.h"
#include "tests/chat/answer_dialects.h"
#include "tests/chat/answer_pieces.h"

namespace trireme {
namespace answer_work_test {

// Reads a text in pieces of `piece_bytes`; counts the bytes of the answer that were decided.
struct Reading {
  explicit Reading(const HandDialect& dialect) : reader(dialect.format) {}

  void push(std::string_view text, size_t piece_bytes) {
    for (size_t at = 0; at < text.size(); at += piece_bytes) {
      reader.push(text.substr(at, piece_bytes), false, [this](const ReadEvent& event) {
        num_decided_bytes += event.source.size();
      });
    }
    num_bytes += text.size();
  }

  AnswerReader reader;
  size_t num_bytes = 0;
  size_t num_decided_bytes = 0;
};

TEST(AnswerWork, ATypedParameterIsSearchedOnce) {
  constexpr size_t kBytes = 40'000;
  Reading reading(hand_dialect("function_tags"));
  reading.push("<tool_call><function=f><parameter=n>", 1);
  for (const char* word : {"[1, 2], ", "a < b\n", "\n\n\n\n"}) {
    std::string text;
    while (text.size() < kBytes) text += word;
    reading.push(text, 1);
  }
  EXPECT_LE(reading.reader.num_searched_bytes(), 64 * reading.num_bytes);
}

TEST(AnswerWork, LittleWhiteSpaceWaitsForADecision) {
  constexpr size_t kMostHeldBytes = 12'000;  // the begin of a call is the longest that waits
  for (const HandDialect& hand : hand_dialects()) {
    std::string text = hand.answers[0];
    if (hand.name == "function_tags") text.erase(text.find("<parameter=n>"));  // it waits whole
    for (size_t cut = 0; cut <= text.size(); cut += 3) {
      Reading reading(hand);
      reading.push(text.substr(0, cut), text.size());
      reading.push(std::string(40'000, '\n'), 1000);
      EXPECT_LE(reading.num_bytes - reading.num_decided_bytes, kMostHeldBytes)
          << hand.name << ": " << text.substr(0, cut);
    }
  }
}

TEST(AnswerWork, MuchWhiteSpaceIsReadAlikeHoweverItIsCut) {
  std::mt19937_64 random(3);
  for (const HandDialect& hand : hand_dialects()) {
    for (size_t cut = 0; cut <= hand.answers[0].size(); cut += 7) {
      if (cut < hand.answers[0].size() && (hand.answers[0][cut] & 0xC0) == 0x80) continue;
      for (const size_t blanks : {kMaxMarkerBlanks, kMaxMarkerBlanks + 1, kMaxMarkerBlanks + 2}) {
        std::string text = hand.answers[0];
        text.insert(cut, blanks, '\n');
        const std::vector<Piece> pieces = pieces_of(text, hand.specials);
        const std::string whole = describe(read_answer(hand.format, pieces));
        EXPECT_EQ(whole, describe(read_answer(hand.format, at_random(pieces, random)))) << text;
        EXPECT_EQ(find_loss(hand.format, at_random(pieces, random)), "") << text;
      }
    }
  }
}

}  // namespace answer_work_test
}  // namespace trireme

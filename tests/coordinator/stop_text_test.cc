#include "coordinator/engine/stop_text.h"

#include <gtest/gtest.h>

#include <vector>

namespace trireme {
namespace stop_text_test {

const std::vector<std::string> kStops = {"END", "ENDING", "\n\n"};

TEST(StopText, HoldsBackOnlyWhatMayBeginAStop) {
  StopText text;
  StopText::Found found;
  EXPECT_EQ(text.add("abc E", kStops, false, found), "abc ");
  EXPECT_EQ(text.add("x", kStops, false, found), "Ex");
  EXPECT_EQ(text.add("\n", kStops, false, found), "");
  EXPECT_EQ(text.add("y\n", kStops, false, found), "\ny");
  EXPECT_EQ(text.take_rest(), "\n");
  EXPECT_EQ(found.stop, "");
}

TEST(StopText, FindsAStopOverSeveralPieces) {
  StopText text;
  StopText::Found found;
  EXPECT_EQ(text.add("one E", kStops, false, found), "one ");
  EXPECT_EQ(text.add("N", kStops, false, found), "");
  EXPECT_EQ(text.add("D and more", kStops, false, found), "");
  EXPECT_EQ(found.stop, "END");
  EXPECT_EQ(text.take_rest(), "");
}

TEST(StopText, TheEarliestBeginningWinsThenTheLongest) {
  StopText text;
  StopText::Found found;
  EXPECT_EQ(text.add("a\n\nENDING", kStops, true, found), "a\n\n");
  EXPECT_EQ(found.stop, "\n\n");
  StopText other;
  StopText::Found longest;
  EXPECT_EQ(other.add("aENDING b", kStops, true, longest), "aENDING");
  EXPECT_EQ(longest.stop, "ENDING");
}

TEST(StopText, WithoutStopsNothingIsHeld) {
  StopText text;
  StopText::Found found;
  EXPECT_EQ(text.add("END", {}, false, found), "END");
}

TEST(StopText, FindsAStopInHiddenTextAndReleasesNoneOfIt) {
  StopText text;
  StopText::Found found;
  const std::vector<std::string> stops = {"<end>"};
  EXPECT_EQ(text.add("abc ", stops, false, found), "abc ");
  EXPECT_EQ(text.add_hidden("<other>", stops, false, found), "");
  EXPECT_EQ(text.add("d <e", stops, false, found), "d ");
  EXPECT_EQ(text.add_hidden("<end>", stops, false, found), "<e");
  EXPECT_EQ(found.stop, "<end>");
  EXPECT_EQ(text.take_rest(), "");
}

TEST(StopText, FindsAStopThatHiddenTextBeginsEndsOrIsIn) {
  for (const std::string stop : {"<end>\n", "x<end>", "x<end>\n", "<end>"}) {
    for (const bool include : {false, true}) {
      const std::vector<std::string> stops = {stop};
      StopText text;
      StopText::Found found;
      std::string released = text.add_hidden("<begin>", stops, include, found);
      for (const char* piece : {"a", "x"}) released += text.add(piece, stops, include, found);
      released += text.add_hidden("<end>", stops, include, found);
      if (found.stop.empty()) released += text.add("\n", stops, include, found);
      EXPECT_EQ(found.stop, stop);
      const std::string before = stop[0] == 'x' ? "a" : "ax";
      EXPECT_EQ(released, before + (include ? stop : "")) << stop;
    }
  }
}

TEST(StopText, HiddenTextThatIsHeldStaysHidden) {
  StopText text;
  StopText::Found found;
  const std::vector<std::string> stops = {"a<one><two>b"};
  EXPECT_EQ(text.add("xa", stops, false, found), "x");
  EXPECT_EQ(text.add_hidden("<one>", stops, false, found), "");
  EXPECT_EQ(text.add_hidden("<two>", stops, false, found), "");
  EXPECT_EQ(text.add("ca", stops, false, found), "ac");
  EXPECT_EQ(text.add_hidden("<one>", stops, false, found), "");
  EXPECT_EQ(text.take_rest(), "a");
  EXPECT_EQ(text.add_hidden("<one>", {}, false, found), "");
  EXPECT_EQ(text.take_rest(), "");
  EXPECT_EQ(found.stop, "");
}

struct Part {
  const char* text;
  bool hidden = false;
};

// The released text and, after a "|", the stop string that ended the answer.
std::string streamed(const std::vector<Part>& parts,
                     const std::vector<std::string>& stops,
                     bool include = false) {
  StopText text;
  StopText::Found found;
  std::string released;
  for (const Part& part : parts) {
    if (!found.stop.empty()) break;
    released += part.hidden ? text.add_hidden(part.text, stops, include, found)
                            : text.add(part.text, stops, include, found);
  }
  return released + text.take_rest() + "|" + found.stop;
}

TEST(StopText, FindsAStopInTheTextThatIsSeenOverHiddenText) {
  const Part hidden{"<x>", true};
  for (const bool include : {false, true}) {
    const std::string tail = include ? "b b|b b" : "|b b";
    const auto answer = [&](const std::vector<Part>& parts) {
      return streamed(parts, {"b b"}, include);
    };
    EXPECT_EQ(answer({{"b"}, {" "}, hidden, {"b"}}), tail);
    EXPECT_EQ(answer({hidden, {"ab"}, hidden, hidden, {" bc"}}), "a" + tail);
    EXPECT_EQ(answer({{"ab "}, hidden, {"ab"}, hidden, {" "}, {"b"}, hidden}), "ab a" + tail);
    EXPECT_EQ(answer({hidden, {"b b"}}), tail);
  }
}

TEST(StopText, AStopThatHiddenTextBreaksIsReleasedInOrder) {
  const Part hidden{"<x>", true};
  EXPECT_EQ(streamed({{"b "}, hidden, {"c"}}, {"b b"}), "b c|");
  EXPECT_EQ(streamed({{"b "}, hidden}, {"b b"}), "b |");
  EXPECT_EQ(streamed({hidden, {"b"}, hidden, {" "}}, {"b b"}), "b |");
}

TEST(StopText, OfStopsWithAndWithoutHiddenTextTheEarlierThenTheLongerWins) {
  const Part hidden{"<x>", true};
  EXPECT_EQ(streamed({{"ab"}, hidden, {"cd"}}, {"<x>c", "bc"}), "a|bc");
  EXPECT_EQ(streamed({{"ab"}, hidden, {"cd"}}, {"b<x>c", "bc"}), "a|b<x>c");
  EXPECT_EQ(streamed({{"a"}, hidden, {"bcdef"}}, {"<x>b", "bcdef"}, true), "a<x>b|<x>b");
  // Dropped hidden text joins nothing: the stop string is not in either text.
  EXPECT_EQ(streamed({{"b"}, hidden, {" "}, {"<y>", true}}, {"b <y>", "b  "}), "b |");
}

TEST(StopText, HoldsNoMoreThanItsStopsHoweverMuchTextIsHidden) {
  const std::vector<std::string> stops = {"b b"};
  StopText text;
  StopText::Found found;
  EXPECT_EQ(text.add("b ", stops, false, found), "");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(text.add_hidden("<x>", stops, false, found), "");
  EXPECT_LE(text.held_bytes(), 6u);
  EXPECT_EQ(text.add("b", stops, false, found), "");
  EXPECT_EQ(found.stop, "b b");
}

}  // namespace stop_text_test
}  // namespace trireme

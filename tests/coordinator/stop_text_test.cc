#include "coordinator/engine/stop_text.h"

#include <gtest/gtest.h>

#include <vector>

namespace trireme {
namespace {

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

}  // namespace
}  // namespace trireme

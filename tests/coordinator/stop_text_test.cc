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

}  // namespace
}  // namespace trireme

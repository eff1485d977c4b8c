#include "launch/mpirun_output.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(MpirunOutput, ARankEndedByASignalIsFoundAcrossWrappedLines) {
  EXPECT_EQ(
      cause_in_output({"--------------------------------------",
                       "Primary job  terminated normally, but 1 process returned",
                       "a non-zero exit code. Per user-direction, the job has been aborted.",
                       "--------------------------------------",
                       "mpirun noticed that process rank 2 with PID 4711 on node n1 exited on",
                       "signal 9 (Killed).",
                       "--------------------------------------"}),
      "rank 2 on n1 exited on signal 9 (Killed)");
}

TEST(MpirunOutput, TheFirstErrorOfARankIsTheCause) {
  EXPECT_EQ(cause_in_output({"some library's warning",
                             "[rank 1] TRI-LOAD-007: tensor x ends behind the file",
                             "TRI-GRP-030: a later complaint",
                             "mpirun has exited due to process rank 1"}),
            "TRI-LOAD-007: tensor x ends behind the file");
}

TEST(MpirunOutput, LinesOfTheLogAreNotTheCause) {
  const std::string log =
      "2026-01-31T08:15:02.123Z error worker event=end cause=\"TRI-LOAD-007: x\"";
  EXPECT_EQ(cause_in_output({log, "TRI-LOAD-007: tensor \"x\" ends behind the file"}),
            "TRI-LOAD-007: tensor \"x\" ends behind the file");
  EXPECT_EQ(cause_in_output({"the last words", log}), "the last words");
}

TEST(MpirunOutput, ErrorsThatFollowFromAnotherRanksEndAreUsedLast) {
  EXPECT_EQ(
      cause_in_output(
          {"TRI-GRP-013: a peer is gone", "TRI-GRP-019: fenced", "TRI-LOAD-007: no memory left"}),
      "TRI-LOAD-007: no memory left");
  EXPECT_EQ(cause_in_output({"TRI-GRP-019: fenced", "TRI-GRP-013: a peer is gone"}),
            "TRI-GRP-019: fenced");
}

TEST(MpirunOutput, AnErrorOfMpirunIsJoinedFromItsLines) {
  EXPECT_EQ(cause_in_output({"-----------",
                             "There are not enough slots available in the system",
                             "",
                             "to satisfy the 4 slots that were requested."}),
            "There are not enough slots available in the system "
            "to satisfy the 4 slots that were requested. ");
}

TEST(MpirunOutput, WithoutAnyOfTheseTheLastLineIsTheCause) {
  EXPECT_EQ(cause_in_output({"first", "ssh: connect to host n2 port 22: Connection refused", ""}),
            "ssh: connect to host n2 port 22: Connection refused");
  EXPECT_EQ(cause_in_output({}), "");
}

}  // namespace
}  // namespace trireme

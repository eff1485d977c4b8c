#include "launch/supervision/mpirun_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/text.h"

namespace trireme {
namespace mpirun_output_test {

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

TEST(MpirunOutput, ALineThatTellsWhyARankAbortedFollowsItsSignal) {
  EXPECT_EQ(cause_in_output({"Resource temporarily unavailable (src/thread.cpp:269)",
                             "------",
                             "mpirun noticed that process rank 1 with PID 5 on node n1 exited on "
                             "signal 6 (Aborted).",
                             "------"}),
            "rank 1 on n1 exited on signal 6 (Aborted): Resource temporarily unavailable "
            "(src/thread.cpp:269)");
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
  EXPECT_EQ(last_lines_of_output({"the last words", log}),
            std::vector<std::string>{"the last words"});
}

TEST(MpirunOutput, ErrorsThatFollowFromAnotherRanksEndAreUsedLast) {
  EXPECT_EQ(
      cause_in_output(
          {"TRI-GRP-013: a peer is gone", "TRI-GRP-019: fenced", "TRI-LOAD-007: no memory left"}),
      "TRI-LOAD-007: no memory left");
  EXPECT_EQ(cause_in_output({"TRI-GRP-019: fenced", "TRI-GRP-013: a peer is gone"}),
            "TRI-GRP-019: fenced");
}

TEST(MpirunOutput, AnErrorThatFollowsFromAnotherRanksEndIsUsedAfterMpirunsWords) {
  EXPECT_EQ(
      cause_in_output(
          {"TRI-GRP-013: a peer is gone", "-----------", "There is no more paper.", "-----------"}),
      "There is no more paper.");
}

// Outputs of mpirun as a machine has printed them.
std::deque<std::string> recorded(const std::string& name) {
  std::ifstream file(TRIREME_TEST_DATA "/mpirun/" + name + ".txt");
  EXPECT_TRUE(file.good()) << name;
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(MpirunOutput, ItsMessageIsOneLineOfItsFirstSentenceAndItsFields) {
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_shm_full")),
            "It appears as if there is not enough space for /dev/shm/vader_segment.vm.0.b590001.1 "
            "(the shared-memory backing file). Local host: vm, Space Requested: 4194312 B, Space "
            "Available: 65536 B");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_5_shm_full")),
            "It appears as if there is not enough space for /dev/shm/sm_segment.vm.0.e3720001.1 "
            "(the shared-memory backing file). Local host: vm, Space Requested: 16777216 B, Space "
            "Available: 65536 B");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_5_pml_ucx")),
            "No components were able to be opened in the pml framework. Host: vm, Framework: pml");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_tmp_inodes")),
            "A call to mkdir was unable to create the desired directory: Directory: "
            "/tmp/ompi.vm.0, Error: No space left on device");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_no_program")),
            "mpirun was unable to launch the specified application as it could not access or "
            "execute an executable: Executable: /opt/trireme/bin/trireme-worker, Node: vm");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_wrong_architecture")),
            "Open MPI tried to fork a new process via the \"execve\" system call but failed. "
            "Local host: vm, Working dir: /root, Application name: "
            "/opt/trireme/bin/trireme-worker, Error: Exec format error");
}

TEST(MpirunOutput, AMessageWithoutFieldsIsItsFirstSentence) {
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_slurm_other_host")),
            "No nodes are available for this job, either due to a failure to allocate nodes to the "
            "job, or allocated nodes being marked as unavailable (e.g., down, rebooting, or a "
            "process attempting to be relocated to another node when none are available).");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_slurm_part")),
            "While trying to determine what resources are available, the SLURM resource allocator "
            "expects to find the following environment variables: SLURM_NODELIST "
            "SLURM_TASKS_PER_NODE");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_no_slots")),
            "There are not enough slots available in the system to satisfy the 4 slots that were "
            "requested by the application: true");
}

TEST(MpirunOutput, ALineThatNamesTheCauseGoesBeforeMpirunsMessages) {
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_no_loopback")),
            "[vm:26555] opal_ifinit: unable to find network interfaces.");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_pml_ucx")),
            "[vm:26566] PML ucx cannot be selected");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_missing_library")),
            "/opt/trireme/bin/trireme-worker: error while loading shared libraries: libzmq.so.5: "
            "cannot open shared object file: No such file or directory");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_unknown_host")),
            "ssh: Could not resolve hostname nohost: Name or service not known");
  EXPECT_EQ(cause_in_output(recorded("open_mpi_4_ssh_refused")),
            "ssh: connect to host 127.0.0.2 port 22: Connection refused");
  EXPECT_THAT(cause_in_output(recorded("open_mpi_4_few_files")),
              testing::HasSubstr("The system limit on number of pipes a process can open"));
}

TEST(MpirunOutput, WarningsAndMessagesThatFollowFromOthersAreNotTheCause) {
  EXPECT_EQ(cause_in_output({"------",
                             "WARNING: a device is slow.",
                             "------",
                             "------",
                             "It looks like MPI_INIT failed for some reason.",
                             "------",
                             "------",
                             "The disk is full.",
                             "------"}),
            "The disk is full.");
  EXPECT_EQ(cause_in_output({"------", "Primary job  terminated normally", "------"}), "");
}

TEST(MpirunOutput, WithoutAKnownCauseTheTenLastLinesAreShown) {
  std::deque<std::string> lines = {"--------", "", "[vm:1] 1 more process has sent help message x"};
  EXPECT_EQ(describe_output(lines, "status 1", "; more"), "status 1; more");
  for (int i = 1; i <= 12; ++i) lines.push_back(format_text("  line {}", i));
  EXPECT_EQ(cause_in_output(lines), "");
  EXPECT_EQ(describe_output(lines, "status 1", "; more"),
            "status 1; more; its last lines are:\n  line 3\n  line 4\n  line 5\n  line 6\n  "
            "line 7\n  line 8\n  line 9\n  line 10\n  line 11\n  line 12");
  lines.emplace_back("TRI-LOAD-007: x");
  EXPECT_EQ(describe_output(lines, "status 1", "; more"), "TRI-LOAD-007: x; more");
  EXPECT_EQ(cause_in_output({}), "");
}

}  // namespace mpirun_output_test
}  // namespace trireme

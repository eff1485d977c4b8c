#include "launch/command_lines/command_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/text.h"

namespace trireme {
namespace command_lines_test {

using testing::_;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

class Hostfile : public testing::Test {
 protected:
  StatusOr<std::vector<HostSlots>> read(const std::string& text, int ranks) {
    const std::string path = testing::TempDir() + "hosts";
    std::ofstream(path) << text;
    return read_hostfile(path, ranks);
  }
};

TEST_F(Hostfile, IsParsedAsMpirunDoes) {
  const auto hosts = read("# two\n\nn1 slots=4 max_slots=8 # the big one\n  n2\n", 5);
  ASSERT_TRUE(hosts.ok()) << message_of(hosts.status());
  EXPECT_THAT(*hosts, ElementsAre(HostSlots{"n1", 4}, HostSlots{"n2", 1}));
}

TEST_F(Hostfile, AMalformedLineIsReportedWithItsNumber) {
  for (const char* line : {"n1 slots=0", "n1 slots=x", "n1 slots=4x", "n1 4", "n1:4", "-n1"}) {
    const Status status = read(format_text("ok slots=9\n{}\n", line), 1).status();
    EXPECT_EQ(error_id(status), "TRI-UP-004") << line;
    EXPECT_THAT(message_of(status), HasSubstr("line 2")) << line;
  }
}

TEST_F(Hostfile, WithFewerSlotsThanRanksIsRejected) {
  const Status status = read("n1 slots=2\nn2\n", 4).status();
  EXPECT_EQ(error_id(status), "TRI-UP-004");
  EXPECT_THAT(message_of(status), HasSubstr("3 slots, the cluster needs 4 ranks"));
  EXPECT_EQ(error_id(read_hostfile("/nowhere/hosts", 1).status()), "TRI-UP-004");
}

TEST(SlotsOfGroup, GroupsTakeTheSlotsInTheOrderOfTheFile) {
  const std::vector<HostSlots> hosts = {{"a", 3}, {"b", 2}, {"c", 4}};
  EXPECT_THAT(slots_of_group(hosts, 0, 2), ElementsAre(HostSlots{"a", 2}));
  EXPECT_THAT(slots_of_group(hosts, 1, 2), ElementsAre(HostSlots{"a", 1}, HostSlots{"b", 1}));
  EXPECT_THAT(slots_of_group(hosts, 2, 2), ElementsAre(HostSlots{"b", 1}, HostSlots{"c", 1}));
  EXPECT_THAT(slots_of_group(hosts, 0, 9),
              ElementsAre(HostSlots{"a", 3}, HostSlots{"b", 2}, HostSlots{"c", 4}));
  EXPECT_THAT(slots_of_group({}, 0, 2), IsEmpty());
}

TEST(SlotsBeforeGroup, CountsTheSlotsOfTheFirstHostThatEarlierGroupsTake) {
  const std::vector<HostSlots> hosts = {{"a", 3}, {"b", 2}, {"c", 4}};
  EXPECT_EQ(slots_before_group(hosts, 0, 2), 0);
  EXPECT_EQ(slots_before_group(hosts, 1, 2), 2);
  EXPECT_EQ(slots_before_group(hosts, 2, 2), 1);
  EXPECT_EQ(slots_before_group(hosts, 3, 2), 1);
  EXPECT_EQ(slots_before_group(hosts, 1, 3), 0) << "the first host is full";
  EXPECT_EQ(slots_before_group({}, 3, 2), 6) << "all on this machine";
}

class LaunchCommand : public testing::Test {
 protected:
  LaunchCommand() {
    flags_.model = "models/demo";
    flags_.tp = 2;
    flags_.pp = 3;
    launch_.worker_endpoint = "tcp://10.0.0.1:4000";
    launch_.group = 1;
  }
  static std::string words(const ProcessOptions& options) {
    return join(options.arguments, " ") + " ";
  }

  ClusterFlags flags_;
  WorkerLaunch launch_;
};

TEST_F(LaunchCommand, OneMachineUsesNoNetworkAndNoRemoteShell) {
  const std::string line = words(mpirun_command(flags_, launch_));
  for (const char* part : {"mpirun -np 6 --bind-to none ",
                           "--oversubscribe ",
                           "--mca plm isolated ",
                           "--mca oob_tcp_if_include lo ",
                           "--mca btl self,vader ",
                           "/trireme-worker --model models/demo -tp 2 -pp 3 ",
                           "--coordinator tcp://10.0.0.1:4000 --group 1 "}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  for (const char* part : {"--host ", "-x ", "--bench-step", "--vocabulary-limit", "--trace"}) {
    EXPECT_THAT(line, Not(HasSubstr(part)));
  }
}

TEST_F(LaunchCommand, SeveralHostsAreReachedThroughTheAgentAndTheInterface) {
  launch_.hosts = {{"n1", 4}, {"n2", 2}};
  flags_.launch_agent = "ssh -p 2222";
  flags_.interface = "eth1";
  const std::string line = words(mpirun_command(flags_, launch_));
  for (const char* part : {"--host n1:4,n2:2 --map-by slot ",
                           "--mca plm_rsh_agent ssh -p 2222 ",
                           "--mca btl self,vader,tcp ",
                           "--mca oob_tcp_if_include eth1 ",
                           "--mca btl_tcp_if_include eth1 "}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  EXPECT_THAT(line, Not(HasSubstr("isolated")));
  EXPECT_THAT(line, Not(HasSubstr("--oversubscribe")));
  EXPECT_THAT(mpirun_command(flags_, launch_).arguments, Contains("ssh -p 2222"));
}

TEST_F(LaunchCommand, TheKeyIsPassedInTheEnvironmentAndNeverInAnArgument) {
  launch_.hosts = {{"n1", 6}};
  launch_.worker_key = "5ec2e7";
  const ProcessOptions options = mpirun_command(flags_, launch_);
  EXPECT_THAT(words(options), HasSubstr("-x TRIREME_WORKER_KEY "));
  EXPECT_THAT(words(options), Not(HasSubstr("5ec2e7")));
  EXPECT_THAT(options.environment, Contains(Pair("TRIREME_WORKER_KEY", "5ec2e7")));
}

TEST_F(LaunchCommand, ABenchRunsWithoutACoordinator) {
  launch_.bench_step = "prefill=512";
  const std::string line = words(mpirun_command(flags_, launch_));
  EXPECT_THAT(line, HasSubstr("--bench-step prefill=512 "));
  EXPECT_THAT(line, Not(HasSubstr("--coordinator")));
}

TEST_F(LaunchCommand, EveryClusterFlagReachesTheWorkers) {
  flags_.dtype = "float32";
  flags_.threads = 5;
  flags_.isa = "avx2";
  flags_.weights_seed = 7;
  flags_.max_slots = 8;
  flags_.max_batched_tokens = 64;
  flags_.max_model_len = 100;
  flags_.kv_memory_bytes = 1 << 20;
  flags_.trace = "t.json";
  launch_.vocabulary_limit = 4000;
  const std::string line = words(mpirun_command(flags_, launch_));
  for (const char* part : {"--dtype float32 ",
                           "--threads 5 ",
                           "--isa avx2 ",
                           "--weights-seed 7 ",
                           "--max-num-seqs 8 ",
                           "--max-num-batched-tokens 64 ",
                           "--max-model-len 100 ",
                           "--kv-memory 1048576 ",
                           "--trace t.json.group1 ",
                           "--vocabulary-limit 4000 "}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
}

TEST_F(LaunchCommand, RanksOnGpusGetTheirDeviceAndNcclFlags) {
  launch_.backend = "cuda";
  launch_.first_gpu = 6;
  flags_.dtype = "float16";
  flags_.invariant = true;
  flags_.nccl_interface = "eth1";
  flags_.nccl_adapters = "mlx5_0";
  flags_.nccl_infiniband = false;
  const std::string line = words(ranks_command(flags_, launch_));
  for (const char* part : {"mpirun -np 6 ",
                           "--backend cuda --invariant --first-device 6 ",
                           "--nccl-interface eth1 --nccl-adapters mlx5_0 --no-nccl-infiniband ",
                           "--dtype float16 ",
                           "--max-num-batched-tokens 0 "}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  EXPECT_THAT(line, Not(HasSubstr("--local-ranks")));
}

TEST_F(LaunchCommand, RanksOnTheCpuGetNoGpuFlags) {
  flags_.invariant = true;
  const std::string line = words(ranks_command(flags_, launch_));
  EXPECT_THAT(line, HasSubstr("--backend cpu "));
  for (const char* part : {"invariant", "--first-device", "--nccl"}) {
    EXPECT_THAT(line, Not(HasSubstr(part)));
  }
}

TEST_F(LaunchCommand, RanksThatShareGpusStartAsOneProcessWithoutMpirun) {
  launch_.backend = "cuda";
  launch_.local_ranks = 6;
  launch_.worker_key = "5ec2e7";
  const ProcessOptions options = ranks_command(flags_, launch_);
  EXPECT_THAT(options.arguments.front(), testing::EndsWith("/trireme-worker"));
  EXPECT_THAT(words(options), HasSubstr("--no-invariant --dtype "));
  EXPECT_THAT(words(options), testing::EndsWith("--local-ranks 6 "));
  EXPECT_THAT(words(options), HasSubstr("--coordinator tcp://10.0.0.1:4000 --group 1 "));
  EXPECT_THAT(options.environment, Contains(Pair("TRIREME_CONFIG", "")));
  EXPECT_THAT(options.environment, Contains(Pair("TRIREME_WORKER_KEY", "5ec2e7")));
  EXPECT_THAT(words(options), Not(HasSubstr("5ec2e7")));
}

TEST_F(LaunchCommand, OneRankOnThisMachineStartsWithoutMpirun) {
  flags_.tp = flags_.pp = 1;
  for (const char* backend : {"cpu", "cuda"}) {
    launch_.backend = backend;
    const ProcessOptions options = ranks_command(flags_, launch_);
    EXPECT_THAT(options.arguments.front(), testing::EndsWith("/trireme-worker"));
    EXPECT_THAT(words(options), testing::EndsWith("--local-ranks 1 "));
  }
  launch_.hosts = {{"n1", 1}};
  EXPECT_THAT(ranks_command(flags_, launch_).arguments.front(), "mpirun") << "another machine";
}

TEST_F(LaunchCommand, ChildrenDoNotReadTheConfigFileOfTheVerb) {
  EXPECT_THAT(mpirun_command(flags_, launch_).environment, Contains(Pair("TRIREME_CONFIG", "")));
  EXPECT_THAT(coordinator_command(flags_, CoordinatorLaunch()).environment,
              Contains(Pair("TRIREME_CONFIG", "")));
}

TEST_F(LaunchCommand, ALongTemporaryFolderIsReplacedForTheSocketsOfMpi) {
  ASSERT_EQ(::setenv("TMPDIR", ("/" + std::string(40, 'x')).c_str(), 1), 0);
  EXPECT_THAT(mpirun_command(flags_, launch_).environment, Contains(Pair("TMPDIR", "/tmp")));
  ASSERT_EQ(::setenv("TMPDIR", ("/" + std::string(39, 'x')).c_str(), 1), 0);
  EXPECT_THAT(mpirun_command(flags_, launch_).environment, Not(Contains(Pair("TMPDIR", _))));
  ::unsetenv("TMPDIR");
  EXPECT_THAT(mpirun_command(flags_, launch_).environment, Not(Contains(Pair("TMPDIR", _))));
}

// Without TMPDIR Open MPI takes TEMP or TMP.
TEST_F(LaunchCommand, TheTemporaryFolderOfMpiIsNotThatOfOtherVariables) {
  for (const char* name : {"TEMP", "TMP"}) {
    ASSERT_EQ(::setenv(name, "/nonexistent", 1), 0);
    EXPECT_THAT(mpirun_command(flags_, launch_).environment, Contains(Pair("TMPDIR", "/tmp")));
    ASSERT_EQ(::setenv("TMPDIR", "/var/tmp", 1), 0);
    EXPECT_THAT(mpirun_command(flags_, launch_).environment, Not(Contains(Pair("TMPDIR", _))));
    ::unsetenv("TMPDIR");
    ::unsetenv(name);
  }
}

TEST_F(LaunchCommand, AnEmptyTemporaryFolderIsReplacedForMpi) {
  ASSERT_EQ(::setenv("TMPDIR", "", 1), 0);
  EXPECT_THAT(mpirun_command(flags_, launch_).environment, Contains(Pair("TMPDIR", "/tmp")));
  ::unsetenv("TMPDIR");
}

TEST_F(LaunchCommand, OnOneMachineVariablesOfAnotherLaunchAreRemoved) {
  ASSERT_EQ(::setenv("SLURM_NODELIST", "node1", 1), 0);
  ASSERT_EQ(::setenv("OMPI_MCA_plm", "slurm", 1), 0);
  launch_.local_ranks = 6;
  for (const ProcessOptions& options :
       {mpirun_command(flags_, launch_), ranks_command(flags_, launch_)}) {
    EXPECT_THAT(options.removed, Contains("SLURM_NODELIST"));
    EXPECT_THAT(options.removed, Contains("OMPI_MCA_plm"));
  }
  launch_.hosts = {{"n1", 6}};
  EXPECT_THAT(mpirun_command(flags_, launch_).removed, IsEmpty()) << "a hostfile may want them";
  ::unsetenv("SLURM_NODELIST");
  ::unsetenv("OMPI_MCA_plm");
}

TEST_F(LaunchCommand, OpenMpi5HasItsOwnOptions) {
  launch_.mpirun = {MpirunKind::kOpenMpi5, "5.0.11"};
  const std::string line = words(mpirun_command(flags_, launch_));
  for (const char* part : {"mpirun -np 6 --bind-to none ",
                           "--map-by :OVERSUBSCRIBE ",
                           "--mca btl self,sm ",
                           "/trireme-worker --model models/demo -tp 2 -pp 3 "}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
  for (const char* part : {"isolated", "oob_tcp_if_include", "vader", "--oversubscribe"}) {
    EXPECT_THAT(line, Not(HasSubstr(part)));
  }
  launch_.hosts = {{"n1", 4}, {"n2", 2}};
  flags_.launch_agent = "ssh -p 2222";
  flags_.interface = "eth1";
  const std::string several = words(mpirun_command(flags_, launch_));
  for (const char* part : {"--host n1:4,n2:2 --map-by slot ",
                           "--prtemca plm_ssh_agent ssh -p 2222 ",
                           "--prtemca prte_if_include eth1 ",
                           "--mca btl_tcp_if_include eth1 "}) {
    EXPECT_THAT(several, HasSubstr(part));
  }
  EXPECT_THAT(several, Not(HasSubstr("OVERSUBSCRIBE")));
}

TEST_F(LaunchCommand, TheCoordinatorGetsItsDoorsAndTakesCommandsOnStdin) {
  flags_.groups = 2;
  flags_.worker_host = "10.0.0.1";
  flags_.prefix_caching = false;
  flags_.insecure = true;
  flags_.served_model_name = "galley";
  CoordinatorLaunch launch;
  flags_.journal.fsync = true;
  flags_.journal.answer_ttl = "90s";
  launch.state = "/s";
  launch.journal = true;
  launch.host = "0.0.0.0";
  launch.port = 8900;
  launch.worker_port = 4000;
  launch.allow_probes = true;
  launch.keep_worker_key = true;
  const ProcessOptions options = coordinator_command(flags_, launch);
  for (const char* part : {"/trireme-coordinator --control-on-stdin --model models/demo ",
                           "--groups 2 --state /s --journal on --fsync --journal-size 1073741824 "
                           "--answer-ttl 90s --drain-timeout 30s --host 0.0.0.0 --port 8900 ",
                           "--worker-host 10.0.0.1 --worker-port 4000 ",
                           "--served-model-name galley ",
                           "--no-enable-prefix-caching ",
                           "--insecure --keep-worker-key ",
                           "--allow-probes "}) {
    EXPECT_THAT(words(options), HasSubstr(part));
  }
  EXPECT_TRUE(options.pipe_stdin);
  EXPECT_THAT(
      words(coordinator_command(ClusterFlags(), CoordinatorLaunch())),
      HasSubstr("--enable-prefix-caching --no-insecure --no-keep-worker-key --no-allow-probes "));
  EXPECT_THAT(words(coordinator_command(ClusterFlags(), CoordinatorLaunch())),
              Not(testing::AnyOf(HasSubstr("--insecure"), HasSubstr("--allow-probes"))));
}

TEST_F(LaunchCommand, CoordinatorAndRanksWriteTheSameLog) {
  flags_.log.level = "debug";
  launch_.log_file = "/s/trireme.log";
  CoordinatorLaunch coordinator;
  coordinator.log_file = launch_.log_file;
  const std::string expected = "--log-level debug --log-file /s/trireme.log ";
  EXPECT_THAT(words(mpirun_command(flags_, launch_)), HasSubstr(expected));
  EXPECT_THAT(words(coordinator_command(flags_, coordinator)), HasSubstr(expected));
}

TEST_F(LaunchCommand, WithoutALogFileTheLevelIsPassedAndStderrIsTheLog) {
  for (const ProcessOptions& command :
       {mpirun_command(flags_, launch_), coordinator_command(flags_, CoordinatorLaunch())}) {
    EXPECT_THAT(words(command), HasSubstr("--log-level info "));
    EXPECT_THAT(words(command), Not(HasSubstr("--log-file")));
  }
}

TEST(ShellLine, QuotesWordsThatAShellWouldSplitOrExpand) {
  ProcessOptions command;
  command.environment = {{"EMPTY", ""}, {"KEY", "a b"}};
  command.arguments = {"mpirun", "self,vader", "ssh -p 2222", "it's", "$HOME", ""};
  EXPECT_EQ(shell_line(command),
            "EMPTY= KEY='a b' mpirun self,vader 'ssh -p 2222' 'it'\\''s' '$HOME' ''");
}

}  // namespace command_lines_test
}  // namespace trireme

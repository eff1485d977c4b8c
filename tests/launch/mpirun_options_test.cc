#include "launch/command_lines/mpirun_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/environment.h"
#include "base/text.h"

namespace trireme {
namespace mpirun_options_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(MpirunVersion, OpenMpi41And5AreSupported) {
  const auto four = parse_mpirun_version(
      "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/");
  ASSERT_TRUE(four.ok()) << message_of(four.status());
  EXPECT_EQ(*four, (MpirunVersion{MpirunKind::kOpenMpi4, "4.1.4"}));
  const auto five = parse_mpirun_version("mpirun (Open MPI) 5.0.11\n");
  ASSERT_TRUE(five.ok()) << message_of(five.status());
  EXPECT_EQ(*five, (MpirunVersion{MpirunKind::kOpenMpi5, "5.0.11"}));
  EXPECT_EQ(parse_mpirun_version("mpirun (Open MPI) 5.1.0rc2")->number, "5.1.0rc2");
}

TEST(MpirunVersion, OtherLaunchersAreRefusedByName) {
  const struct {
    const char* answer;
    const char* name;
  } cases[] = {
      {"mpirun (Open MPI) 3.1.6", "Open MPI 3.1.6"},
      {"mpirun (Open MPI) 4.0.7", "Open MPI 4.0.7"},
      {"mpirun (Open MPI) 6.0.0", "Open MPI 6.0.0"},
      {"HYDRA build details:\n    Version:   4.1.2\n", "MPICH"},
      {"Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005", "Intel MPI"},
      {"mpirun (IBM Spectrum MPI) 10.4.0.03rtm4", "IBM Spectrum MPI"},
      {"prterun (PRRTE) 3.0.6", "PRRTE"},
      {"slurm 22.05.8", "Slurm"},
      {"usage: something else", "\"usage: something else\""},
      {"", "no version"},
  };
  for (const auto& row : cases) {
    const Status status = parse_mpirun_version(row.answer).status();
    EXPECT_EQ(error_id(status), "TRI-UP-040") << row.answer;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.answer;
    EXPECT_THAT(message_of(status),
                AllOf(HasSubstr(row.name), HasSubstr("supported is Open MPI 4.1 or 5")));
  }
}

// A PATH with one program.
class FindMpirun : public testing::Test {
 protected:
  FindMpirun() : path_(environment("PATH").value_or("")) {
    folder_ = testing::TempDir() + "mpirun-XXXXXX";
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    ::setenv("PATH", folder_.c_str(), 1);
  }
  ~FindMpirun() override {
    ::setenv("PATH", path_.c_str(), 1);
    std::filesystem::remove_all(folder_);
  }
  void write_program(const std::string& name, const std::string& script) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  const std::string path_;
  std::string folder_;
};

TEST_F(FindMpirun, TheProgramOfPathIsAsked) {
  write_program("mpirun", "echo \"mpirun (Open MPI) 5.0.3\"");
  const auto version = find_mpirun();
  ASSERT_TRUE(version.ok()) << message_of(version.status());
  EXPECT_EQ(version->number, "5.0.3");
}

TEST_F(FindMpirun, AnAbsentMpirunIsNamedAndSrunMentioned) {
  EXPECT_THAT(message_of(find_mpirun().status()),
              AllOf(HasSubstr("TRI-UP-040: there is no mpirun in PATH"), Not(HasSubstr("srun"))));
  write_program("srun", "true");
  EXPECT_THAT(message_of(find_mpirun().status()), HasSubstr("only srun"));
}

TEST_F(FindMpirun, AProgramThatCannotStartSaysSo) {
  write_program("mpirun",
                "echo 'mpirun: error while loading shared libraries: x.so' >&2; exit 127");
  EXPECT_THAT(message_of(find_mpirun().status()),
              AllOf(HasSubstr("TRI-UP-040"), HasSubstr("error while loading shared libraries")));
}

TEST_F(FindMpirun, APrefixOfAnotherInstallationIsNamed) {
  write_program("mpirun",
                "[ -z \"$OPAL_PREFIX\" ] || { echo 'unknown option \"--version\"'; exit 1; }\n"
                "echo 'mpirun (Open MPI) 4.1.4'");
  ASSERT_EQ(::setenv("OPAL_PREFIX", "/nonexistent", 1), 0);
  EXPECT_EQ(message_of(find_mpirun().status()),
            "TRI-UP-040: OPAL_PREFIX is /nonexistent, which is not the installation of " + folder_ +
                "/mpirun; unset it");
  ::unsetenv("OPAL_PREFIX");
  EXPECT_TRUE(find_mpirun().ok());
}

TEST_F(FindMpirun, ItsTemporaryFolderIsThatOfTheCluster) {
  write_program("mpirun", "echo \"mpirun (Open MPI) 4.1.4$TMPDIR\"");
  ASSERT_EQ(::setenv("TMP", "/nonexistent", 1), 0);
  EXPECT_EQ(find_mpirun().value_or(MpirunVersion()).number, "4.1.4/tmp");
  ::unsetenv("TMP");
}

}  // namespace mpirun_options_test
}  // namespace trireme

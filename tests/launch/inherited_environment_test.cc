#include "launch/process/inherited_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace trireme {
namespace inherited_environment_test {

using testing::Contains;
using testing::Not;

TEST(InheritedEnvironment, AllocationsOfBatchSystemsPlaceProcesses) {
  for (const char* name : {"SLURM_JOBID",
                           "SLURM_NODELIST",
                           "SLURMD_NODENAME",
                           "LSB_HOSTS",
                           "LSB_DJOB_HOSTFILE",
                           "PBS_NODEFILE",
                           "PBS_JOBID",
                           "PE_HOSTFILE",
                           "SGE_ROOT",
                           "FLUX_URI",
                           "PALS_RANKID",
                           "COBALT_NODEFILE"}) {
    EXPECT_TRUE(places_processes(name)) << name;
  }
}

TEST(InheritedEnvironment, TheIdentityOfARankOfAnotherLaunchPlacesProcesses) {
  for (const char* name : {"PMIX_RANK",
                           "PMIX_NAMESPACE",
                           "PMIX_SERVER_URI41",
                           "PMI_RANK",
                           "PMI_FD",
                           "PRTE_LAUNCHED",
                           "OMPI_COMM_WORLD_RANK",
                           "OMPI_UNIVERSE_SIZE",
                           "OMPI_MCA_ess_base_jobid",
                           "OMPI_MCA_orte_hnp_uri"}) {
    EXPECT_TRUE(places_processes(name)) << name;
  }
}

TEST(InheritedEnvironment, ParametersOfMpisLauncherPlaceProcessesAndThoseOfItsTransportsDoNot) {
  for (const char* name : {"OMPI_MCA_plm",
                           "OMPI_MCA_plm_rsh_agent",
                           "OMPI_MCA_ras",
                           "OMPI_MCA_rmaps_base_oversubscribe",
                           "OMPI_MCA_orte_default_hostfile",
                           "OMPI_MCA_oob_tcp_if_include",
                           "PRTE_MCA_plm_ssh_agent",
                           "PMIX_MCA_ptl_tcp_if_include"}) {
    EXPECT_TRUE(places_processes(name)) << name;
  }
  for (const char* name : {"OMPI_MCA_pml",
                           "OMPI_MCA_btl",
                           "OMPI_MCA_btl_tcp_if_include",
                           "OMPI_MCA_mpi_yield_when_idle",
                           "OMPI_MCA_coll_hcoll_enable",
                           "OMPI_MCA_osc",
                           "OMPI_MCA_mtl",
                           "OMPI_MCA_plmx"}) {
    EXPECT_FALSE(places_processes(name)) << name;
  }
}

TEST(InheritedEnvironment, PrefixesPermissionsAndOtherVariablesDoNot) {
  for (const char* name : {"OPAL_PREFIX",
                           "PMIX_PREFIX",
                           "PRTE_PREFIX",
                           "OMPI_ALLOW_RUN_AS_ROOT",
                           "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                           "PATH",
                           "LD_LIBRARY_PATH",
                           "TRIREME_WORKER_KEY",
                           "JOB_ID",
                           "UCX_TLS"}) {
    EXPECT_FALSE(places_processes(name)) << name;
  }
}

TEST(InheritedEnvironment, InsideARankOfMpirun5ThePrefixesAreThoseOfThatMpirun) {
  ASSERT_EQ(::setenv("OPAL_PREFIX", "/opt/openmpi", 1), 0);
  EXPECT_THAT(inherited_launch_variables(), Not(Contains("OPAL_PREFIX")));
  ASSERT_EQ(::setenv("PRTE_LAUNCHED", "1", 1), 0);
  EXPECT_THAT(inherited_launch_variables(), Contains("OPAL_PREFIX"));
  ::unsetenv("PRTE_LAUNCHED");
  ::unsetenv("OPAL_PREFIX");
}

TEST(InheritedEnvironment, IsReadFromTheEnvironmentOfTheProcess) {
  ASSERT_EQ(::setenv("SLURM_JOBID", "12", 1), 0);
  ASSERT_EQ(::setenv("OMPI_MCA_pml", "ob1", 1), 0);
  const auto names = inherited_launch_variables();
  ::unsetenv("SLURM_JOBID");
  ::unsetenv("OMPI_MCA_pml");
  EXPECT_THAT(names, Contains("SLURM_JOBID"));
  EXPECT_THAT(names, Not(Contains("OMPI_MCA_pml")));
}

}  // namespace inherited_environment_test
}  // namespace trireme

#include "launch/process/inherited_environment.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/environment.h"

namespace trireme {

namespace {

// Resource managers whose variables Open MPI and PRRTE read, and the launchers of other MPIs.
constexpr std::array<std::string_view, 13> kPrefixes = {"SLURM",
                                                        "LSB_",
                                                        "LSF_",
                                                        "PBS_",
                                                        "SGE_",
                                                        "FLUX_",
                                                        "PALS_",
                                                        "ALPS_",
                                                        "PMIX_",
                                                        "PMI_",
                                                        "PMI2_",
                                                        "PRTE_",
                                                        "OMPI_"};
constexpr std::array<std::string_view, 3> kNames = {
    "PE_HOSTFILE", "COBALT_NODEFILE", "HYDRA_HOST_FILE"};

// The frameworks and parameters of ORTE and PRRTE; every other OMPI_MCA_* is one of the MPI
// library.
constexpr std::array<std::string_view, 31> kLauncherParameters = {
    "PREFIXES",     "cpu_type", "hwloc_base_binding_policy",
    "num_procs",    "dfs",      "ess",
    "errmgr",       "filem",    "grpcomm",
    "initial_wdir", "iof",      "notifier",
    "odls",         "oob",      "orte",
    "plm",          "pmix",     "prte",
    "prrte",        "ras",      "regx",
    "rmaps",        "rmgr",     "rml",
    "routed",       "rtc",      "schizo",
    "snapc",        "sstore",   "state",
    "shmem_RUNTIME"};

// Prefixes of an installation that was moved.
constexpr std::array<std::string_view, 3> kMoved = {"OMPI_PREFIX", "PMIX_PREFIX", "PRTE_PREFIX"};
// Root's permission to run mpirun is no description of a launch.
constexpr std::string_view kAllowRoot = "OMPI_ALLOW_RUN_AS_ROOT";
constexpr std::string_view kLibraryParameter = "OMPI_MCA_";

bool is_launcher_parameter(std::string_view parameter) {
  return std::ranges::any_of(kLauncherParameters, [&](std::string_view name) {
    if (!parameter.starts_with(name)) return false;
    return parameter.size() == name.size() || parameter[name.size()] == '_';
  });
}

// Inside a rank of mpirun 5.
bool comes_from_outer_mpirun(const std::string& name) {
  return name == "OPAL_PREFIX" || name == "OPAL_USER_PARAMS_GIVEN" ||
         std::ranges::find(kMoved, name) != kMoved.end();
}

}  // namespace

bool places_processes(const std::string& name) {
  if (std::ranges::find(kMoved, name) != kMoved.end()) return false;
  if (name.starts_with(kAllowRoot)) return false;
  if (name.starts_with(kLibraryParameter)) {
    return is_launcher_parameter(std::string_view(name).substr(kLibraryParameter.size()));
  }
  return std::ranges::find(kNames, name) != kNames.end() ||
         std::ranges::any_of(kPrefixes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<std::string> inherited_launch_variables() {
  // mpirun 5 gives its ranks the place of its own installation.
  const bool is_inside_rank = environment("PRTE_LAUNCHED").has_value();
  std::vector<std::string> found;
  for (std::string& name : environment_names()) {
    const bool is_outer = is_inside_rank && comes_from_outer_mpirun(name);
    if (is_outer || places_processes(name)) found.push_back(std::move(name));
  }
  return found;
}

}  // namespace trireme

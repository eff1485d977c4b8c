// Variables of batch systems and of an outer mpirun that a cluster on this machine must not
// inherit: they describe where and how another launch places its processes. docs/operations.md
// lists them. Pure, but for inherited_launch_variables(), which reads the environment. Any thread.
#pragma once

#include <string>
#include <vector>

namespace trireme {

// Whether a variable of this name places processes: an allocation of a batch system (SLURM_*,
// LSB_*, PBS_*, ...), the identity of a rank (PMIX_*, OMPI_COMM_WORLD_*, ...), or a parameter of
// MPI's launcher (OMPI_MCA_plm, PRTE_MCA_*, ...). Parameters that choose transports (OMPI_MCA_btl,
// OMPI_MCA_pml, ...) and the prefixes of a moved installation (OPAL_PREFIX, ...) do not.
bool places_processes(const std::string& name);

// The names of those in the environment of this process; inside a rank of mpirun 5 also the
// prefixes, which are those of that mpirun.
std::vector<std::string> inherited_launch_variables();

}  // namespace trireme

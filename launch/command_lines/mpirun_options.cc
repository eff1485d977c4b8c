#include "launch/command_lines/mpirun_options.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <regex>

#include "base/environment.h"
#include "base/host_info.h"
#include "base/text.h"
#include "launch/process/inherited_environment.h"
#include "launch/process/process.h"
#include "launch/process/temporary_folder.h"

namespace trireme {

namespace {

using Words = std::vector<std::string>;

constexpr int kAnswerMs = 8'000;
constexpr char kOpalPrefix[] = "OPAL_PREFIX";
constexpr char kSupported[] = "Open MPI 4.1 or 5";

struct OptionsOfKind {
  MpirunKind kind;
  int major;           // of Open MPI
  int least_minor;     // the first supported one of this major version
  Words always;        // ranks unbound; no cross-memory attach; waits give up the processor
  Words this_machine;  // more ranks than cores; no remote shell; loopback and shared memory
  Words several_hosts;
  Words agent;                     // its value is the program that reaches other hosts
  std::array<Words, 2> interface;  // their values are the network between hosts
};

// Ranks are not bound, so that the threads of each spread over its cores. Containers forbid the
// system calls of cross-memory attach. Ranks that wait in MPI_Init and MPI_Finalize must not starve
// the others. PRRTE, the launcher of Open MPI 5, needs no remote shell and finds loopback by
// itself.
const std::array<OptionsOfKind, 2>& table() {
  static const std::array<OptionsOfKind, 2> kTable = {
      {{MpirunKind::kOpenMpi4,
        4,
        1,
        split("--bind-to none --mca btl_vader_single_copy_mechanism none "
              "--mca mpi_yield_when_idle 1",
              ' '),
        split("--oversubscribe --mca plm isolated --mca oob_tcp_if_include lo "
              "--mca btl self,vader",
              ' '),
        split("--map-by slot --mca btl self,vader,tcp", ' '),
        {"--mca", "plm_rsh_agent"},
        {{{"--mca", "oob_tcp_if_include"}, {"--mca", "btl_tcp_if_include"}}}},
       {MpirunKind::kOpenMpi5,
        5,
        0,
        split("--bind-to none --mca smsc ^cma --mca mpi_yield_when_idle 1", ' '),
        split("--map-by :OVERSUBSCRIBE --prtemca plm ssh --mca btl self,sm", ' '),
        split("--map-by slot --mca btl self,sm,tcp", ' '),
        {"--prtemca", "plm_ssh_agent"},
        {{{"--prtemca", "prte_if_include"}, {"--mca", "btl_tcp_if_include"}}}}}};
  return kTable;
}

void add(Words& words, const Words& more) { words.insert(words.end(), more.begin(), more.end()); }

Status not_supported(const std::string& what) {
  return invalid(
      "TRI-UP-040",
      "the mpirun in PATH is {}, supported is {}; install it (apt-get install openmpi-bin)"
      " and put its folder first in PATH",
      what,
      kSupported);
}

// Implementations that also call their launcher mpirun, by words of their answer.
struct OtherLauncher {
  const char* words;
  const char* name;
};
constexpr std::array<OtherLauncher, 6> kOthers = {{{"Intel(R) MPI", "Intel MPI"},
                                                   {"HYDRA", "MPICH (Hydra)"},
                                                   {"MVAPICH", "MVAPICH"},
                                                   {"Spectrum MPI", "IBM Spectrum MPI"},
                                                   {"PRRTE", "PRRTE without Open MPI"},
                                                   {"slurm", "srun of Slurm"}}};

std::string first_line(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.size() > 80 ? line.substr(0, 80) + "..." : line;
}

Status no_mpirun() {
  const bool has_srun = !find_program("srun").empty();
  return invalid("TRI-UP-040",
                 "there is no mpirun in PATH{}; install {} (apt-get install openmpi-bin)",
                 has_srun ? ", only srun, with which the ranks are started by hand "
                            "(docs/operations.md, Slurm)"
                          : "",
                 kSupported);
}

}  // namespace

StatusOr<MpirunVersion> parse_mpirun_version(const std::string& answer) {
  static const std::regex kOpenMpi("\\(Open MPI\\) ((\\d+)\\.(\\d+)\\S*)");
  std::smatch match;
  if (!std::regex_search(answer, match, kOpenMpi)) {
    for (const OtherLauncher& other : kOthers) {
      if (answer.find(other.words) != std::string::npos) return not_supported(other.name);
    }
    if (answer.empty()) return not_supported("a program that prints no version");
    return not_supported(format_text("unknown (it prints \"{}\")", first_line(answer)));
  }
  const int major = std::atoi(match[2].str().c_str());
  const int minor = std::atoi(match[3].str().c_str());
  const auto row = std::ranges::find(table(), major, &OptionsOfKind::major);
  if (row == table().end() || minor < row->least_minor) {
    return not_supported("Open MPI " + match[1].str());
  }
  return MpirunVersion{row->kind, match[1].str()};
}

// Asks without these variables.
static StatusOr<MpirunVersion> ask_version(Words removed) {
  ProcessOptions options;
  options.arguments = {"mpirun", "--version"};
  options.removed = std::move(removed);
  if (const auto folder = tmpdir_for_mpi()) options.environment.emplace_back("TMPDIR", *folder);
  ASSIGN_OR_RETURN(Process process, Process::start(options));
  const auto status = process.wait_exit(kAnswerMs);
  Words lines;
  process.read_lines(lines, lines);
  if (!status) {
    return not_supported(format_text("a program that did not answer `mpirun --version` within {} s",
                                     kAnswerMs / 1000));
  }
  return parse_mpirun_version(join(lines, "\n"));
}

// Modules of a cluster set the place of one installation for the mpirun of another.
StatusOr<MpirunVersion> find_mpirun() {
  const std::string program = find_program("mpirun");
  if (program.empty()) return no_mpirun();
  Words removed = inherited_launch_variables();
  StatusOr<MpirunVersion> version = ask_version(removed);
  const auto prefix = environment(kOpalPrefix);
  if (version.ok() || !prefix || std::ranges::find(removed, kOpalPrefix) != removed.end()) {
    return version;
  }
  removed.emplace_back(kOpalPrefix);
  if (!ask_version(removed).ok()) return version;
  return invalid("TRI-UP-040",
                 "{} is {}, which is not the installation of {}; unset it",
                 kOpalPrefix,
                 *prefix,
                 program);
}

std::vector<std::string> mpirun_options(const MpirunVersion& version, const MpirunPlace& place) {
  const OptionsOfKind& options = *std::ranges::find(table(), version.kind, &OptionsOfKind::kind);
  Words words = options.always;
  if (place.hosts.empty()) {
    add(words, options.this_machine);
    return words;
  }
  Words slots;
  for (const HostSlots& host : place.hosts) {
    slots.push_back(format_text("{}:{}", host.host, host.slots));
  }
  add(words, {"--host", join(slots, ",")});
  add(words, options.several_hosts);
  add(words, options.agent);
  words.push_back(place.agent);
  if (!place.interface.empty()) {
    for (const Words& interface : options.interface) {
      add(words, interface);
      words.push_back(place.interface);
    }
  }
  if (place.passes_key) add(words, {"-x", "TRIREME_WORKER_KEY"});
  return words;
}

}  // namespace trireme

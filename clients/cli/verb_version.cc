#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "base/host_info.h"
#include "base/text.h"
#include "clients/cli/verbs.h"
#include "launch/checks/device_report.h"

namespace trireme {

int verb_version(Terminal& terminal, const Arguments& arguments) {
  bool json = false;
  FlagSet flags("trireme version", "prints release, backends and build");
  flags.add("json", &json, "one JSON object");
  if (const auto over = parse_flags(terminal, flags, arguments)) return *over;
  const auto report = ask_for_devices({program_folder() + "/trireme-worker"});
  const std::vector<std::string> backends =
      report.ok() ? report->backends : std::vector<std::string>();
  utsname machine{};
  ::uname(&machine);
  const nlohmann::ordered_json object = {{"version", TRIREME_VERSION},
                                         {"protocol", "trireme.v1"},
                                         {"backends", backends},
                                         {"compiler", format_text("g++ {}", __VERSION__)},
                                         {"machine", machine.machine}};
  if (json) {
    terminal.answer_line(object.dump());
    return kDone;
  }
  terminal.answer_line("trireme " TRIREME_VERSION);
  terminal.answer_line(format_text("protocol trireme.v1, backends: {}, {}, {}",
                                   backends.empty() ? "none (no trireme-worker)" : join(backends),
                                   object["compiler"].get<std::string>(),
                                   machine.machine));
  return kDone;
}

}  // namespace trireme

#include "base/text.h"
#include "clients/cli/bench/bench_parts.h"
#include "clients/cli/verbs.h"

namespace trireme {

namespace {

constexpr const char* kHelp =
    "trireme bench: measures a model on this cluster\n\n"
    "  bench step    forward speed without a scheduler, as llama-bench does\n"
    "  bench serve   a load sweep through the client door\n"
    "  bench report  one HTML page with plots of saved results\n\n"
    "trireme bench PART --help shows a part's flags.\n";

}  // namespace

int verb_bench(Terminal& terminal, const Arguments& arguments) {
  if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "--help-all") {
    if (!arguments.empty()) {
      terminal.answer(kHelp);
      return kDone;
    }
    terminal.note(kHelp);
    return kBadInput;
  }
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (arguments.front() == "step") return bench_step(terminal, rest);
  if (arguments.front() == "serve") return bench_serve(terminal, rest);
  if (arguments.front() == "report") return bench_report(terminal, rest);
  return terminal.fail(invalid("TRI-BENCH-001",
                               "bench knows step, serve and report, not \"{}\" (bench --help)",
                               arguments.front()));
}

}  // namespace trireme

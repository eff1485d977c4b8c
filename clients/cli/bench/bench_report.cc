#include <fstream>

#include "base/output_file.h"
#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/bench/bench_parts.h"
#include "clients/cli/bench/report_page.h"

namespace trireme {

namespace {

Status write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return ok_status();
  return unavailable("TRI-BENCH-004", "cannot write {}; check its folder", path);
}

Status report(const Arguments& folders,
              const std::string& out,
              const std::string& csv,
              Terminal& terminal) {
  if (folders.empty()) {
    return invalid("TRI-BENCH-005", "bench report needs a folder that --save has written");
  }
  RETURN_IF_ERROR(check_writable(out, "TRI-BENCH-004", "the page"));
  if (!csv.empty()) RETURN_IF_ERROR(check_writable(csv, "TRI-BENCH-004", "the table"));
  ASSIGN_OR_RETURN(const std::vector<SavedRun> runs, read_runs(folders));
  size_t results = 0;
  for (const SavedRun& run : runs) results += run.results.size();
  if (results == 0) {
    return invalid("TRI-BENCH-005", "there is no result in {}", join(folders));
  }
  RETURN_IF_ERROR(write(out, report_page(runs)));
  if (!csv.empty()) RETURN_IF_ERROR(write(csv, report_csv(runs)));
  terminal.note(format_text("{} results of {} runs", results, runs.size()));
  terminal.answer_line(escape_not_utf8(out));
  return ok_status();
}

}  // namespace

int bench_report(Terminal& terminal, const Arguments& arguments) {
  std::string out = "report.html";
  std::string csv;
  Arguments folders;
  FlagSet flags("trireme bench report DIR...",
                "makes one HTML page with plots from results of bench step and bench serve");
  flags.add("out", &out, "file of the page");
  flags.add("csv", &csv, "also write a CSV table, one line per result");
  if (const auto over = parse_flags(terminal, flags, arguments, &folders)) return *over;
  const Status status = report(folders, out, csv, terminal);
  return status.ok() ? kDone : terminal.fail(status);
}

}  // namespace trireme

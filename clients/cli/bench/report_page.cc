#include "clients/cli/bench/report_page.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "clients/cli/bench/svg_plot.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

struct Run {
  Json about;
  std::vector<Json> results;
};

std::vector<Run> parse(const std::vector<SavedRun>& saved) {
  std::vector<Run> runs;
  for (const SavedRun& one : saved) {
    Run& run = runs.emplace_back(Run{Json::parse(one.about), {}});
    for (const std::string& result : one.results) run.results.push_back(Json::parse(result));
  }
  return runs;
}

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --ink: #1f2430; --dim: #667; --grid: #dde; --page: #fff;
  --box: #f6f7fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ef; --dim: #9aa; --grid: #353a48; --page: #16181f; --box: #1f222c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 10px; }
.dim { color: var(--dim); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 16px; }
.plot { background: var(--box); border-radius: 10px; padding: 12px; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12px; fill: var(--dim); } svg .title { font-size: 14px; font-weight: 600;
  fill: var(--ink); }
svg .grid { stroke: var(--grid); } svg polyline { fill: none; stroke-width: 2; }
.legend { margin: 4px 0 0 8px; font-size: 13px; }
.legend span { margin-right: 14px; white-space: nowrap; }
.legend span::before { content: ""; display: inline-block; width: 10px; height: 10px;
  border-radius: 5px;
  margin-right: 6px; background: currentColor; }
.s0 { stroke: #4e79a7; fill: #4e79a7; } .k0 { color: #4e79a7; }
.s1 { stroke: #f28e2b; fill: #f28e2b; } .k1 { color: #f28e2b; }
.s2 { stroke: #59a14f; fill: #59a14f; } .k2 { color: #59a14f; }
.s3 { stroke: #e15759; fill: #e15759; } .k3 { color: #e15759; }
.s4 { stroke: #b07aa1; fill: #b07aa1; } .k4 { color: #b07aa1; }
.s5 { stroke: #2f9e9b; fill: #2f9e9b; } .k5 { color: #2f9e9b; }
.s6 { stroke: #9c755f; fill: #9c755f; } .k6 { color: #9c755f; }
.s7 { stroke: #888888; fill: #888888; } .k7 { color: #888888; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 4px 8px; text-align: right; border-bottom: 1px solid var(--grid);
  white-space: nowrap; }
th { color: var(--dim); font-weight: 600; } td:first-child, th:first-child { text-align: left; }
)css";

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value.get<double>());
    return text;
  }
  return value.is_null() ? "" : value.dump();
}

// The text of a field; "" if it is absent. Files are read as anybody may have edited them.
std::string text_of(const Json& object, const char* key) {
  const auto field = object.find(key);
  return field == object.end() ? "" : text_of(*field);
}

// Label of a run: "tp 2 x pp 1" and further fields in which the runs of the page differ.
std::string name_of_run(const Json& about, bool with_model) {
  std::string name = format_text("tp {} x pp {}", text_of(about, "tp"), text_of(about, "pp"));
  const std::string groups = text_of(about, "groups");
  if (!groups.empty() && groups != "1") name += format_text(", {} groups", groups);
  if (with_model) {
    name += format_text(", {}, {}", text_of(about, "model"), text_of(about, "dtype"));
  }
  return name;
}

bool several_models(const std::vector<Run>& runs) {
  std::set<std::string> models;
  for (const Run& run : runs) {
    models.insert(text_of(run.about, "model") + text_of(run.about, "dtype"));
  }
  return models.size() > 1;
}

double number_at(const Json& result, const std::string& path) {
  const Json* value = &result;
  for (const std::string& key : split(path, '.')) {
    const auto found = value->find(key);
    if (found == value->end()) return -1;
    value = &*found;
  }
  return value->is_number() ? value->get<double>() : -1;
}

// One series per run: field `y` over field `x` of the results of `kind` ("": any) that have both.
Plot plot_of(const std::vector<Run>& runs,
             const std::string& title,
             const std::string& x,
             const std::string& x_label,
             const std::string& y,
             const std::string& kind) {
  Plot plot{title, x_label, "", {}};
  const bool with_model = several_models(runs);
  std::map<std::string, PlotSeries> by_name;
  for (const Run& run : runs) {
    for (const Json& result : run.results) {
      if (!kind.empty() && text_of(result, "kind") != kind) continue;
      const double at = number_at(result, x);
      const double value = number_at(result, y);
      if (at < 0 || value < 0) continue;
      const std::string name = name_of_run(run.about, with_model);
      by_name[name].name = name;
      by_name[name].points.emplace_back(at, value);
    }
  }
  for (auto& [name, series] : by_name) plot.series.push_back(std::move(series));
  return plot;
}

std::string figure(const Plot& plot) {
  if (plot.series.empty()) return "";
  return format_text("<div class=\"plot\">\n{}</div>\n", draw_svg(plot));
}

std::string plots_of(const std::vector<Run>& runs) {
  const char* concurrency_label = "concurrent requests";
  const char* rate = "requests per second";
  std::string html;
  html += figure(plot_of(runs,
                         "Output tokens per second",
                         "concurrency",
                         concurrency_label,
                         "output_tokens_per_second",
                         ""));
  html += figure(plot_of(runs,
                         "Time to first token, median (ms)",
                         "concurrency",
                         concurrency_label,
                         "ttft_ms.p50",
                         ""));
  html += figure(plot_of(runs,
                         "Time to first token, 99th percentile (ms)",
                         "concurrency",
                         concurrency_label,
                         "ttft_ms.p99",
                         ""));
  html += figure(plot_of(runs,
                         "Time per further token, median (ms)",
                         "concurrency",
                         concurrency_label,
                         "tpot_ms.p50",
                         ""));
  html += figure(plot_of(
      runs, "Output tokens per second", "request_rate", rate, "output_tokens_per_second", ""));
  html += figure(
      plot_of(runs, "Time to first token, median (ms)", "request_rate", rate, "ttft_ms.p50", ""));
  html += figure(plot_of(runs,
                         "Decode, tokens per second",
                         "batch",
                         "sequences that decode together",
                         "tokens_per_second",
                         "decode"));
  html += figure(plot_of(runs,
                         "Prefill, tokens per second",
                         "tokens",
                         "tokens of the prompt",
                         "tokens_per_second",
                         "prefill"));
  return html.empty() ? "" : "<div class=\"plots\">\n" + html + "</div>\n";
}

using Columns = std::vector<std::pair<const char*, const char*>>;  // heading, path

std::string cell_of(const Json& result, const char* path) {
  const auto found = result.find(path);
  if (found != result.end() && found->is_string()) return escape_html(found->get<std::string>());
  const double value = number_at(result, path);
  if (value < 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, value == std::round(value) ? "%.0f" : "%.4g", value);
  return text;
}

// Omits columns for which no result has a value.
std::string table_of(const std::vector<Run>& runs, const char* kind, const Columns& columns) {
  std::vector<std::vector<std::string>> rows;
  const bool with_model = several_models(runs);
  std::vector<bool> used(columns.size(), false);
  for (const Run& run : runs) {
    if (text_of(run.about, "kind") != kind) continue;
    for (const Json& result : run.results) {
      auto& row = rows.emplace_back();
      row.push_back(escape_html(name_of_run(run.about, with_model)));
      for (size_t i = 0; i < columns.size(); ++i) {
        row.push_back(cell_of(result, columns[i].second));
        used[i] = used[i] || !row.back().empty();
      }
    }
  }
  if (rows.empty()) return "";
  std::string html = "<div class=\"scroll\"><table>\n<tr><th>cut</th>";
  for (size_t i = 0; i < columns.size(); ++i) {
    if (used[i]) html += format_text("<th>{}</th>", columns[i].first);
  }
  for (const auto& row : rows) {
    html += format_text("</tr>\n<tr><td>{}</td>", row[0]);
    for (size_t i = 0; i < columns.size(); ++i) {
      if (used[i]) html += format_text("<td>{}</td>", row[i + 1]);
    }
  }
  return html + "</tr>\n</table></div>\n";
}

std::string section(const char* heading, const std::string& content) {
  return content.empty() ? "" : format_text("<h2>{}</h2>\n{}", heading, content);
}

std::string runs_table(const std::vector<Run>& runs) {
  const Columns columns = {{"kind", "kind"},
                           {"model", "model"},
                           {"dtype", "dtype"},
                           {"host", "host"},
                           {"cores", "cores"},
                           {"kernels", "isa"},
                           {"time", "time"},
                           {"version", "version"}};
  std::string rows;
  for (const Run& run : runs) {
    rows += format_text("<tr><td>{}</td>", escape_html(name_of_run(run.about, false)));
    for (const auto& [heading, key] : columns) {
      rows += format_text("<td>{}</td>", escape_html(text_of(run.about, key)));
    }
    rows += "</tr>\n";
  }
  std::string head = "<tr><th>cut</th>";
  for (const auto& [heading, key] : columns) head += format_text("<th>{}</th>", heading);
  return format_text("<div class=\"scroll\"><table>\n{}</tr>\n{}</table></div>\n", head, rows);
}

// Flattens an object: every leaf as "a.b" and its text.
void flatten(const Json& value,
             const std::string& name,
             std::vector<std::pair<std::string, std::string>>& fields) {
  if (!value.is_object()) return fields.emplace_back(name, text_of(value)), void();
  for (const auto& [key, inner] : value.items()) {
    flatten(inner, name.empty() ? key : format_text("{}.{}", name, key), fields);
  }
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string report_page(const std::vector<SavedRun>& saved) {
  const std::vector<Run> runs = parse(saved);
  const Json& first = runs.front().about;
  const std::string where = format_text("{} on {}, {} cores ({}), Trireme {}",
                                        text_of(first, "model"),
                                        text_of(first, "host"),
                                        text_of(first, "cores"),
                                        text_of(first, "isa"),
                                        text_of(first, "version"));
  const Columns serve = {{"at once", "concurrency"},
                         {"rate", "request_rate"},
                         {"requests", "requests"},
                         {"failed", "failed"},
                         {"output tok/s", "output_tokens_per_second"},
                         {"TTFT p50 ms", "ttft_ms.p50"},
                         {"TTFT p99 ms", "ttft_ms.p99"},
                         {"TPOT p50 ms", "tpot_ms.p50"},
                         {"TPOT p99 ms", "tpot_ms.p99"},
                         {"ITL p99 ms", "itl_ms.p99"},
                         {"E2E p50 ms", "e2e_ms.p50"}};
  const Columns step = {{"kind", "kind"},
                        {"batch", "batch"},
                        {"tokens", "tokens"},
                        {"median s", "seconds_median"},
                        {"least s", "seconds_min"},
                        {"tok/s", "tokens_per_second"},
                        {"repeats", "repeats"}};
  return format_text(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>Trireme bench "
      "report</title>\n<style>{}</style></head><body>\n<h1>Bench report</h1>\n<p "
      "class=\"dim\">{}</p>\n{}{}{}{}</body></html>\n",
      kStyle,
      escape_html(where),
      section("Plots", plots_of(runs)),
      section("Load through the client door", table_of(runs, "serve", serve)),
      section("Forward speed without a scheduler", table_of(runs, "step", step)),
      section("Runs", runs_table(runs)));
}

std::string report_csv(const std::vector<SavedRun>& saved) {
  const std::vector<Run> runs = parse(saved);
  std::vector<std::string> names;
  std::vector<std::map<std::string, std::string>> rows;
  for (const Run& run : runs) {
    for (const Json& result : run.results) {
      Json whole = run.about;
      whole.update(result);
      std::vector<std::pair<std::string, std::string>> fields;
      flatten(whole, "", fields);
      auto& row = rows.emplace_back();
      for (auto& [name, text] : fields) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
        row[name] = std::move(text);
      }
    }
  }
  std::string csv = join(names, ",") + "\n";
  for (auto& row : rows) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (i > 0) csv += ',';
      csv += csv_field(row[names[i]]);
    }
    csv += "\n";
  }
  return csv;
}

}  // namespace trireme

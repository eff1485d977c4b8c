// describe_dialect(): the markers of a dialect, for people.
#include "base/text.h"
#include "model/chat/answer/json_scanner.h"
#include "model/chat/dialect/dialect_finder.h"

namespace trireme {
namespace {

std::string shown(const std::string& text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

std::string path_text(const std::vector<std::string>& path) { return join(path, "."); }

std::string calls_text(const CallDialect& calls) {
  std::string text;
  if (calls.section_open.present()) {
    text += format_text(
        "between {} and {}, ", shown(calls.section_open.text()), shown(calls.section_close.text()));
  }
  const std::string open = shown(calls.open.text());
  const std::string close = shown(calls.close.text());
  switch (calls.style) {
    case CallStyle::kNone:
      return "none";
    case CallStyle::kJsonObject:
      text += calls.list ? "a JSON list of objects" : "JSON objects";
      if (calls.open.present()) text += format_text(", each between {} and {}", open, close);
      return text + format_text(", name in {}, arguments in {}",
                                path_text(calls.name_path),
                                path_text(calls.arguments_path));
    case CallStyle::kHeader:
      return text + format_text("the name after {}, the arguments as JSON after {}, the end {}",
                                open,
                                shown(calls.name_end.text()),
                                close);
    case CallStyle::kTagged:
      return text + format_text("the name after {}, each parameter as {}key{}value{}, the end {}",
                                open,
                                shown(calls.parameter_open.text()),
                                shown(calls.parameter_name_end.text()),
                                shown(calls.parameter_close.text()),
                                close);
  }
  return text;
}

}  // namespace

std::string describe_dialect(const FoundDialect& found) {
  const Dialect& dialect = found.dialect;
  std::string text;
  const auto line = [&](const std::string& name, const std::string& value) {
    text += name + ": " + value + "\n";
  };
  if (!found.fault.empty()) line("answers", "not cut: " + found.fault);
  const char* content = !found.form.text_content         ? "a list of parts"
                        : found.form.takes_parts("user") ? "text, or a list of parts"
                                                         : "text";
  line("content", content);
  if (found.form.developer_as_system) line("developer", "written as system");
  if (found.form.arguments_as_text) line("arguments", "given to the template as text");
  if (dialect.content_open.present()) {
    line("answer", "begins with " + shown(dialect.content_open.text()));
  }
  if (dialect.segment_end.present()) {
    line("segments", "separated by " + shown(dialect.segment_end.text()));
  }
  line("reasoning",
       found.reasoning ? format_text("between {} and {}",
                                     shown(dialect.reasoning_open.text()),
                                     shown(dialect.reasoning_close.text()))
                       : "none");
  if (!found.tools) {
    line("tools", "refused: " + found.no_tools);
    return text;
  }
  line("tool calls", calls_text(dialect.calls));
  if (!found.several_calls) line("calls per turn", "1");
  if (dialect.calls.short_ids) line("ids of calls", "9 letters or digits");
  return text;
}

}  // namespace trireme

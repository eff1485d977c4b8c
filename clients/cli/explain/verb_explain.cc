#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/explain/error_pages.h"
#include "clients/cli/verbs.h"

namespace trireme {

namespace {

constexpr size_t kWidth = 84;

// Wraps `text` into lines of at most kWidth characters, each indented by `indent`.
std::string wrap(const std::string& text, const std::string& indent) {
  std::string wrapped;
  std::string line;
  for (const std::string& word : split(text, ' ')) {
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > kWidth) {
      wrapped += indent + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return wrapped + indent + line + "\n";
}

void show(Terminal& terminal, const ErrorPage& page, bool json) {
  if (json) {
    const nlohmann::ordered_json object = {{"id", page.id},
                                           {"meaning", page.meaning},
                                           {"causes", page.causes},
                                           {"what_to_do", page.fix}};
    return terminal.answer_line(object.dump());
  }
  const auto heading = [&](const char* text) { return terminal.paint_out(Style::kBold, text); };
  terminal.answer(format_text("{}\n\n{}\n{}\n{}\n{}\n{}\n{}",
                              heading(page.id),
                              heading("What it means"),
                              wrap(page.meaning, "  "),
                              heading("Usual causes"),
                              wrap(page.causes, "  "),
                              heading("What to do"),
                              wrap(page.fix, "  ")));
}

int list(Terminal& terminal, bool json) {
  for (const std::string& id : error_page_ids()) {
    const ErrorPage* page = find_error_page(id);
    terminal.answer_line(json ? nlohmann::json(id).dump()
                              : format_text("{}  {}", id, page->meaning));
  }
  return kDone;
}

}  // namespace

int verb_explain(Terminal& terminal, const Arguments& arguments) {
  bool json = false;
  Arguments ids;
  FlagSet flags("trireme explain [ID]",
                "shows meaning, causes and remedy of an error id; without an id, lists all");
  flags.add("json", &json, "JSON");
  if (const auto over = parse_flags(terminal, flags, arguments, &ids)) return *over;
  if (ids.empty()) return list(terminal, json);
  for (std::string id : ids) {
    std::transform(id.begin(), id.end(), id.begin(), ::toupper);
    while (!id.empty() && id.back() == ':') id.pop_back();
    const ErrorPage* page = find_error_page(id);
    if (page == nullptr) {
      const std::string near = nearest(id, error_page_ids());
      return terminal.fail(
          invalid("TRI-ARGS-023",
                  "there is no page about \"{}\"{} (`trireme explain` lists them all)",
                  id,
                  near.empty() ? "" : format_text("; did you mean {}?", near)));
    }
    show(terminal, *page, json);
  }
  return kDone;
}

}  // namespace trireme

#include "clients/cli/tokenize/template_workbench.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "base/json_value.h"
#include "base/text.h"
#include "base/utf8.h"
#include "clients/cli/json_lines.h"
#include "clients/cli/json_text.h"
#include "clients/cli/prompts.h"
#include "model/chat/jinja/jinja_template.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;
using Kind = JsonValue::Kind;

constexpr char kId[] = "TRI-RUN-014";

// The variables of a template as one JSON object.
class Variables {
 public:
  void add(std::string_view name, std::string_view json) {
    text_ += text_.size() > 1 ? "," : "";
    text_ += Json(std::string(name)).dump();
    text_ += ":";
    text_ += json;
  }
  std::string finish() && { return std::move(text_) + "}"; }

 private:
  std::string text_ = "{";
};

struct Line {
  std::string variables;  // a JSON object
  RenderOptions options;
  std::vector<std::string> unseen;  // fields that the template does not see
};

// The template's clock: local time, unless a line says otherwise.
RenderOptions current_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  ::localtime_r(&now, &local);
  RenderOptions options;
  options.now_s = now;
  options.utc_offset_s = local.tm_gmtoff;
  return options;
}

StatusOr<std::string> read_variables(JsonValue line) {
  Variables variables;
  if (const auto more = line.find("variables"); more && !more->is(Kind::kNull)) {
    if (!more->is(Kind::kObject)) return invalid(kId, "\"variables\" is not an object");
    RETURN_IF_ERROR(more->each_last_member([&](std::string_view name, JsonValue value) {
      variables.add(name, value.text());
      return ok_status();
    }));
  }
  const struct {
    const char* name;
    Kind kind;
    const char* wanted;
    const char* absent;
  } fields[] = {{"messages", Kind::kArray, "a list", nullptr},
                {"tools", Kind::kArray, "a list", "null"},
                {"documents", Kind::kArray, "a list", "null"},
                {"add_generation_prompt", Kind::kBoolean, "true or false", "false"}};
  for (const auto& field : fields) {
    const auto value = line.find(field.name);
    const bool is_absent = !value || value->is(Kind::kNull);
    if (is_absent && field.absent == nullptr) {
      return invalid(kId, "the line has no \"{}\"", field.name);
    }
    if (!is_absent && !value->is(field.kind)) {
      return invalid(kId, "\"{}\" is not {}", field.name, field.wanted);
    }
    variables.add(field.name, is_absent ? field.absent : value->text());
  }
  return std::move(variables).finish();
}

StatusOr<Line> read_line(const std::string& text) {
  RETURN_IF_ERROR(check_utf8(text, "the line"));
  ASSIGN_OR_RETURN(const JsonValue json,
                   JsonValue::parse(text,
                                    kId,
                                    "the line",
                                    JsonNumbers::kPython,
                                    "write one JSON object per line: {\"messages\": [...]}"));
  if (!json.is(Kind::kObject)) return invalid(kId, "the line is not a JSON object");
  Line line;
  ASSIGN_OR_RETURN(line.variables, read_variables(json));
  line.options = current_time();
  if (const auto now = json.find("now"); now && !now->is(Kind::kNull)) {
    line.options = {};
    if (!now->is(Kind::kString) || !seconds_of_iso_time(now->string(), line.options.now_s)) {
      return invalid(kId, "\"now\" is {}; write \"2024-07-05T09:04:07\"", std::string(now->text()));
    }
  }
  static const std::set<std::string, std::less<>> kFields = {
      "messages", "tools", "documents", "add_generation_prompt", "variables", "now"};
  RETURN_IF_ERROR(json.each_last_member([&](std::string_view name, JsonValue /*value*/) {
    if (!kFields.contains(name)) line.unseen.emplace_back(name);
    return ok_status();
  }));
  return line;
}

Json error_json(const TemplateError& error) {
  Json json = {{"type", error.type}, {"message", error.message}};
  if (error.line > 0) json["line"] = error.line;
  return {{"error", json}};
}

Json render(const JinjaTemplate& chat_template, const Line& line) {
  TemplateError error;
  JinjaHeap heap;
  JinjaValue variables;
  const auto json =
      JsonValue::parse(line.variables, kId, "the line", JsonNumbers::kPython);  // checked already
  if (!json.ok() || !heap.from_json(*json, Origin::kMessage, variables)) {
    error = {.type = "LimitError", .message = "the variables are too large", .is_limit = true};
    return error_json(error);
  }
  MarkedText out;
  if (!chat_template.render(variables, line.options, out, error)) return error_json(error);
  return {{"text", out.text}};
}

}  // namespace

StatusOr<bool> render_lines(Terminal& terminal,
                            const std::string& template_file,
                            const std::string& messages_file) {
  ASSIGN_OR_RETURN(const std::string source, read_all(template_file));
  TemplateError error;
  const auto chat_template = JinjaTemplate::compile(source, error);
  ASSIGN_OR_RETURN(const std::vector<NumberedLine> lines, read_lines(messages_file));
  std::set<std::string> warned;
  bool all_rendered = true;
  for (const NumberedLine& text : lines) {
    const auto line = read_line(text.text);
    if (!line.ok()) return at_line(messages_file, text.number, line.status());
    for (const std::string& field : line->unseen) {
      if (!warned.insert(field).second) continue;
      terminal.warn(format_text(
          "line {}: the template does not see \"{}\"; put it into \"variables\" if it should",
          text.number,
          field));
    }
    const Json answer = chat_template ? render(*chat_template, *line) : error_json(error);
    all_rendered = all_rendered && !answer.contains("error");
    terminal.answer_line(json_text(answer));
  }
  return all_rendered;
}

}  // namespace trireme

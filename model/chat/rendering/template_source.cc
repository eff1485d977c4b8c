#include "model/chat/rendering/template_source.h"

#include "base/json_value.h"
#include "model/file_text.h"
#include "model/tokenizer/tokenizer_settings.h"

namespace trireme {
namespace {

constexpr int64_t kMaxTemplateBytes = int64_t{1} << 20;
constexpr int64_t kMaxConfigBytes = int64_t{64} << 20;
constexpr const char* kNoTemplate = "TRI-CHAT-001";

StatusOr<std::string> read_template(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMaxTemplateBytes, kNoTemplate));
  RETURN_IF_ERROR(check_plain_text(text, path, kNoTemplate));
  return text;
}

// A token is written as a string or as an object with its content.
std::optional<std::string> token_text(JsonValue value) {
  if (value.is(JsonValue::Kind::kObject)) {
    const auto content = value.find("content");
    if (!content) return std::nullopt;
    value = *content;
  }
  if (!value.is(JsonValue::Kind::kString)) return std::nullopt;
  return value.string();
}

void add_tokens(JsonValue config, TemplateSources& sources) {
  for (const std::string_view name : kNamedTokens) {
    const auto value = config.find(name);
    const auto text = value ? token_text(*value) : std::nullopt;
    bool known = false;
    for (const auto& [other, token] : sources.tokens) known |= other == name;
    if (text && !known) sources.tokens.emplace_back(std::string(name), *text);
  }
}

// The templates in `chat_template`: a text, or a list of {name, template}.
Status add_templates(JsonValue value, const std::string& path, TemplateSources& sources) {
  if (value.is(JsonValue::Kind::kString)) {
    sources.text = value.string();
    sources.path = path;
    return ok_status();
  }
  if (!value.is(JsonValue::Kind::kArray)) return ok_status();
  return value.each([&](JsonValue entry) {
    if (!entry.is(JsonValue::Kind::kObject)) return ok_status();
    const auto name = entry.find("name");
    const auto text = entry.find("template");
    if (!name || !text || !name->is(JsonValue::Kind::kString) ||
        !text->is(JsonValue::Kind::kString)) {
      return ok_status();
    }
    if (name->string() == "tool_use") sources.tool_use = text->string();
    if (name->string() == "default") {
      sources.text = text->string();
      sources.path = path;
    }
    return ok_status();
  });
}

Status read_config(const std::string& path, bool with_templates, TemplateSources& sources) {
  if (!is_there(path)) return ok_status();
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxConfigBytes, kNoTemplate));
  ASSIGN_OR_RETURN(const JsonValue config,
                   JsonValue::parse(text, kNoTemplate, path, JsonNumbers::kPython));
  if (!config.is(JsonValue::Kind::kObject)) return ok_status();
  add_tokens(config, sources);
  const auto templates = config.find("chat_template");
  if (!with_templates || !templates) return ok_status();
  return add_templates(*templates, path, sources);
}

Status read_files(const std::string& folder, TemplateSources& sources) {
  const std::string main = folder + "/chat_template.jinja";
  if (is_there(main)) {
    ASSIGN_OR_RETURN(sources.text, read_template(main));
    sources.path = main;
  }
  const std::string named = folder + "/additional_chat_templates/";
  if (is_there(named + "tool_use.jinja")) {
    ASSIGN_OR_RETURN(sources.tool_use, read_template(named + "tool_use.jinja"));
  }
  if (sources.path.empty() && is_there(named + "default.jinja")) {
    ASSIGN_OR_RETURN(sources.text, read_template(named + "default.jinja"));
    sources.path = named + "default.jinja";
  }
  return ok_status();
}

}  // namespace

StatusOr<TemplateSources> find_template(const std::string& folder,
                                        const std::string& template_file) {
  TemplateSources sources;
  if (!template_file.empty()) {
    ASSIGN_OR_RETURN(sources.text, read_template(template_file));
    sources.path = template_file;
  } else {
    RETURN_IF_ERROR(read_files(folder, sources));
  }
  const bool found = !sources.path.empty() || sources.tool_use;
  RETURN_IF_ERROR(read_config(folder + "/tokenizer_config.json", !found, sources));
  RETURN_IF_ERROR(read_config(folder + "/special_tokens_map.json", false, sources));
  if (!sources.path.empty()) return sources;
  if (sources.tool_use) {
    return invalid(kNoTemplate,
                   "{} has a chat template named tool_use but no default; give one with "
                   "--chat-template FILE",
                   folder);
  }
  return invalid(kNoTemplate,
                 "{} has no chat template (chat_template.jinja, or chat_template in "
                 "tokenizer_config.json); give one with --chat-template FILE, or use completions",
                 folder);
}

}  // namespace trireme

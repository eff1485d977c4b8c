// Renders templates for tests. Used by one test program's main thread.
#pragma once

#include <string>
#include <string_view>

#include "model/chat/jinja/jinja_template.h"

namespace trireme {

struct Rendered {
  MarkedText out;
  TemplateError error;
  bool ok = false;
};

// Compiles and renders. `variables_json`: an object, whose values all have `origin`.
inline Rendered render_jinja(std::string_view source,
                             std::string_view variables_json = "{}",
                             Origin origin = Origin::kMessage,
                             const RenderOptions& options = {}) {
  Rendered rendered;
  JinjaHeap heap;
  JinjaValue variables;
  const auto json =
      JsonValue::parse(variables_json, "TRI-CHAT-006", "the variables", JsonNumbers::kPython);
  if (!json.ok() || !heap.from_json(*json, origin, variables)) {
    rendered.error = {"TestError", "the variables are no JSON", 0, 0, false};
    return rendered;
  }
  const auto compiled = JinjaTemplate::compile(source, rendered.error);
  if (compiled == nullptr) return rendered;
  rendered.ok = compiled->render(variables, options, rendered.out, rendered.error);
  return rendered;
}

// The text, or "Type: message".
inline std::string text_of_render(const Rendered& rendered) {
  return rendered.ok ? rendered.out.text : rendered.error.type + ": " + rendered.error.message;
}

// The text with «» around bytes of messages and ‹› around those of assistant messages.
inline std::string marked(const MarkedText& text) {
  std::string made;
  size_t at = 0;
  for (const OriginRange& range : text.origins) {
    const bool message = range.origin == Origin::kMessage;
    made += text.text.substr(at, range.begin - at);
    made += message ? "«" : "‹";
    made += text.text.substr(range.begin, range.end - range.begin);
    made += message ? "»" : "›";
    at = range.end;
  }
  return made + text.text.substr(at);
}

}  // namespace trireme

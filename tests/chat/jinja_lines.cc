// Renders one template per line of standard input: {"template", "variables", "now"} gives {"text"}
// or {"error": {"type", "message", "line"}, "limit"}. Driven by the tests that compare the engine
// with the reference.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/chat/jinja_fixture.h"

int main() {
  using Json = nlohmann::ordered_json;
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    const Json request = Json::parse(line);
    trireme::RenderOptions options;
    if (!trireme::seconds_of_iso_time(request["now"].get<std::string>(), options.now_s)) return 2;
    const trireme::Rendered rendered = trireme::render_jinja(request["template"].get<std::string>(),
                                                             request["variables"].dump(),
                                                             trireme::Origin::kMessage,
                                                             options);
    Json answer;
    if (rendered.ok) {
      answer["text"] = rendered.out.text;
    } else {
      answer["error"] = {{"type", rendered.error.type},
                         {"message", rendered.error.message},
                         {"line", rendered.error.line}};
      answer["limit"] = rendered.error.is_limit;
    }
    std::cout << answer.dump() << '\n';
  }
  return 0;
}

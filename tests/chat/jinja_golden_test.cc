// Templates, conversations and snippets with the texts that the reference engine makes of them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/chat/jinja_fixture.h"

namespace trireme {
namespace jinja_golden_test {

using Json = nlohmann::ordered_json;

std::string read_file(const std::string& name) {
  std::ifstream file(std::string(TRIREME_TEST_DATA) + "/chat/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Json> read_lines(const std::string& name) {
  std::vector<Json> lines;
  std::stringstream text(read_file(name));
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

size_t characters_before(const std::string& text, size_t end) {
  size_t count = 0;
  for (size_t i = 0; i < end; ++i) count += (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80;
  return count;
}

Json generation_spans(const MarkedText& out) {
  Json spans = Json::array();
  for (const TextRange& range : out.generation) {
    spans.push_back(Json::array(
        {characters_before(out.text, range.begin), characters_before(out.text, range.end)}));
  }
  return spans;
}

// Of an error the type counts, and for TemplateError the words, which are the template's.
void expect_outcome(const Json& expected, const Rendered& rendered, const std::string& name) {
  if (expected.contains("error")) {
    const Json& error = expected["error"];
    ASSERT_FALSE(rendered.ok) << name << ": " << rendered.out.text;
    EXPECT_EQ(rendered.error.type, error["type"]) << name << ": " << rendered.error.message;
    if (error["type"] == "TemplateError" || error["type"] == "TemplateSyntaxError") {
      EXPECT_EQ(rendered.error.message, error["message"]) << name;
    }
    return;
  }
  ASSERT_TRUE(rendered.ok) << name << ": " << text_of_render(rendered);
  EXPECT_EQ(rendered.out.text, expected["expected"]) << name;
  if (expected.contains("generation_spans")) {
    EXPECT_EQ(generation_spans(rendered.out), expected["generation_spans"]) << name;
  }
}

TEST(JinjaGolden, EveryConversationIsRenderedAsByTheReference) {
  const std::vector<Json> cases = read_lines("cases.jsonl");
  ASSERT_EQ(cases.size(), 85);
  size_t spans = 0;
  for (const Json& line : cases) {
    Json variables = line["variables"];
    Json messages = line["messages"];
    for (Json& message : messages) {
      if (message.contains("reasoning_content")) {
        message["thinking"] = message["reasoning_content"];
      }
    }
    variables["messages"] = messages;
    for (const char* name : {"tools", "documents", "add_generation_prompt"}) {
      variables[name] = line[name];
    }
    RenderOptions options;
    ASSERT_TRUE(seconds_of_iso_time(line["now"].get<std::string>(), options.now_s));
    const std::string name =
        line["template"].get<std::string>() + " " + line["case"].get<std::string>();
    const Rendered rendered =
        render_jinja(read_file(line["template"]), variables.dump(), Origin::kMessage, options);
    expect_outcome(line, rendered, name);
    if (line.contains("generation_spans")) spans += line["generation_spans"].size();
  }
  EXPECT_GT(spans, 0);
}

TEST(JinjaGolden, EverySnippetIsRenderedAsByTheReference) {
  const std::vector<Json> snippets = read_lines("snippets.jsonl");
  ASSERT_EQ(snippets.size(), 113);
  const std::string variables = read_file("snippet_variables.json");
  for (const Json& line : snippets) {
    const std::string source = line["template"];
    expect_outcome(line, render_jinja(source, variables), source);
  }
}

}  // namespace jinja_golden_test
}  // namespace trireme

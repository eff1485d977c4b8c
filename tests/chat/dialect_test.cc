// The dialects of the templates in tests/data: found, described, and read in all ways of cutting.
#include <gtest/gtest.h>

#include <fstream>

#include "model/chat/dialect/dialect_check.h"
#include "model/file_text.h"
#include "tests/chat/answer_pieces.h"
#include "tests/chat/derived_dialects.h"
#include "tests/test_data.h"

namespace trireme {
namespace dialect_test {

TEST(Dialect, IsFoundAndDescribedForEveryTemplate) {
  std::string all;
  for (const std::string& file : template_files()) {
    const DerivedDialect derived = derive(file);
    all += "# " + derived.name + "\n" + describe_dialect(derived.found) + "\n";
  }
  const auto golden = read_text_file(test_data() + "/chat_dialects.txt", 1 << 20, "TRI-CHAT-001");
  EXPECT_EQ(golden.value_or(""), all);
}

std::string wanted_text(const ProbeAnswer& answer) {
  std::string text = "reasoning[" + answer.reasoning + "] content[" + answer.content + "]";
  for (const ProbeCall& call : answer.calls) text += " " + call.name;
  return text;
}

std::string read_text(const ReadAnswer& answer) {
  std::string text = "reasoning[" + answer.reasoning + "] content[" + answer.content + "]";
  for (const ReadCall& call : answer.calls) text += " " + call.name;
  return text;
}

TEST(Dialect, ReadsRenderedAnswersHoweverTheyAreCut) {
  int num_read = 0;
  for (const std::string& file : template_files()) {
    const DerivedDialect derived = derive(file);
    const FoundDialect& found = derived.found;
    if (!found.answers || !found.fault.empty()) continue;
    std::vector<ProbeAnswer> probes = {{"Yes, it is.\nOr not? \xF0\x9F\x99\x82", {}, {}}};
    if (found.reasoning) probes.push_back({"The answer.", "Some thoughts:\n\n- one", {}});
    if (found.tools) {
      for (const ProbeAnswer& probe : call_probes(found.several_calls, found.reasoning)) {
        probes.push_back(probe);
      }
    }
    const auto format = std::make_shared<const AnswerFormat>(probe_format(found.dialect));
    for (ProbeAnswer& probe : probes) {
      const std::string text = derived.rendered(probe);
      if (text.empty()) continue;
      if (text.find(probe.content) == std::string::npos) probe.content.clear();
      if (text.find(probe.reasoning) == std::string::npos) probe.reasoning.clear();
      const ReadAnswer answer = read_in_all_ways(format, text, {});
      EXPECT_EQ(read_text(answer), wanted_text(probe)) << derived.name << ": " << text;
      EXPECT_EQ(static_cast<size_t>(answer.num_complete), probe.calls.size()) << derived.name;
      ++num_read;
    }
  }
  EXPECT_GE(num_read, 80);
}

TEST(Dialect, ABareCallMayNameItsType) {
  const DerivedDialect derived = derive(test_data() + "/chat/headers.jinja");
  ASSERT_TRUE(derived.found.dialect.calls.bare()) << describe_dialect(derived.found);
  const auto format = std::make_shared<const AnswerFormat>(probe_format(derived.found.dialect));
  for (const char* text :
       {R"({"type": "function", "name": "zq_first", "parameters": {"zq_key": "a"}})",
        R"({"name": "zq_first", "parameters": {"zq_key": "a"}, "id": 1, "type": "function"})"}) {
    EXPECT_EQ(describe(read_in_all_ways(format, text, {})),
              R"(reasoning[] content[] zq_first({"zq_key": "a"}) complete=1)");
  }
}

TEST(Dialect, ContentBesideABareCallLeavesTheCallsReadable) {
  const std::string file = ::testing::TempDir() + "/bare_beside_content.jinja";
  std::ofstream(file) << R"({%- if tools %}{{ '<|tools|>' + tools | tojson }}{%- endif %}
{%- for m in messages %}
    {{- '<|' + m.role + '|>' + m.content }}
    {%- for c in m.tool_calls or [] %}
        {{- '{"name": "' + c.function.name + '", "parameters": ' }}
        {{- c.function.arguments | tojson + '}' }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{%- endif %})";
  const DerivedDialect derived = derive(file);
  EXPECT_TRUE(derived.found.tools) << derived.found.no_tools;
  const auto format = std::make_shared<const AnswerFormat>(probe_format(derived.found.dialect));
  const std::string call = R"({"name": "zq_first", "parameters": {}})";
  EXPECT_EQ(describe(read_in_all_ways(format, call, {})),
            "reasoning[] content[] zq_first({}) complete=1");
  EXPECT_EQ(describe(read_in_all_ways(format, "Yes. " + call, {})),
            "reasoning[] content[Yes. " + call + "] complete=0");
}

}  // namespace dialect_test
}  // namespace trireme

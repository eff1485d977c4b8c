#include "tests/chat/answer_dialects.h"

namespace trireme {
namespace {

HandDialect make(const std::string& name, const Dialect& dialect) {
  auto format = std::make_shared<AnswerFormat>();
  format->dialect = std::make_shared<const Dialect>(dialect);
  format->reads_calls = true;
  format->tools = {{"f",
                    {{"text", ParameterType::kString},
                     {"n", ParameterType::kAny},
                     {"maybe", ParameterType::kStringOrNull}}},
                   {"get_weather", {{"city", ParameterType::kString}}}};
  return {name, format, {}, {}};
}

Dialect think() {
  Dialect dialect;
  dialect.reasoning_open = make_marker("<think>\n");
  dialect.reasoning_close = make_marker("\n</think>\n\n");
  return dialect;
}

HandDialect tags() {
  Dialect dialect = think();
  dialect.calls.style = CallStyle::kJsonObject;
  dialect.calls.open = make_marker("\n<call>");
  dialect.calls.close = make_marker("</call>");
  dialect.calls.name_path = {"name"};
  dialect.calls.arguments_path = {"arguments"};
  dialect.calls.other_keys = {"id"};
  HandDialect out = make("tags", dialect);
  out.answers = {
      "<think>\nHm, 2 < 3.\n</think>\n\nYes.\n<call>{\"name\": \"f\", \"arguments\": "
      "{\"text\": \"a\\\"}</call>\", \"n\": [1, {\"x\": null}]}, \"id\": \"x\"}</call>\n"
      "<call>{\"arguments\": {}, \"name\": \"get_weather\"}</call>",
      "Plain <call and {\"name\": 1} \xC3\xA9\xF0\x9F\x99\x82 text.\n"};
  return out;
}

HandDialect list() {
  Dialect dialect;
  dialect.calls.style = CallStyle::kJsonObject;
  dialect.calls.section_open = make_marker("[CALLS] ");
  dialect.calls.list = true;
  dialect.calls.name_path = {"function", "name"};
  dialect.calls.arguments_path = {"function", "arguments"};
  dialect.calls.other_keys = {"id", "type"};
  dialect.calls.short_ids = true;
  HandDialect out = make("list", dialect);
  out.specials = {"[CALLS]"};
  out.answers = {
      "Wait.[CALLS] [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": "
      "{\"n\": -1.5e3}}}, {\"function\": {\"name\": \"get_weather\", \"arguments\": {}}, "
      "\"id\": \"abc\"}]",
      "Nothing [CALL] to do"};
  return out;
}

HandDialect function_tags() {
  Dialect dialect;
  CallDialect& calls = dialect.calls;
  calls.style = CallStyle::kTagged;
  calls.open = make_marker("\n<tool_call>\n<function=");
  calls.name_end = make_marker(">\n");
  calls.parameter_open = make_marker("<parameter=");
  calls.parameter_name_end = make_marker(">\n");
  calls.parameter_close = make_marker("\n</parameter>\n");
  calls.close = make_marker("</function>\n</tool_call>");
  calls.tagged_end = "</function>";
  HandDialect out = make("function_tags", dialect);
  out.answers = {
      "So:\n<tool_call>\n<function=f>\n<parameter=text>\nline 1\n\"line\" 2 </par\n</parameter>\n"
      "<parameter=n>\n42\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
      "<function=get_weather>\n</function>\n</tool_call>",
      "<tool_call>\n<function=f>\n<parameter=n>\nTrue\n</parameter>\n<parameter=other>\n[1]\n"
      "</parameter>\n</function>\n</tool_call>"};
  return out;
}

HandDialect channels() {
  Dialect dialect;
  dialect.content_open = make_marker("<|channel|>final<|message|>");
  dialect.reasoning_open = make_marker("<|channel|>analysis<|message|>");
  dialect.reasoning_close = make_marker("<|end|><|start|>assistant");
  dialect.segment_end = make_marker("<|end|><|start|>assistant");
  CallDialect& calls = dialect.calls;
  calls.style = CallStyle::kHeader;
  calls.open = make_marker(" to=functions.");
  calls.name_end = make_marker("<|channel|>commentary json<|message|>");
  calls.close = make_marker("<|call|>");
  HandDialect out = make("channels", dialect);
  out.specials = {"<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|call|>"};
  out.answers = {
      "<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant<|channel|>commentary"
      "<|message|>I look.<|end|><|start|>assistant to=functions.f<|channel|>commentary json"
      "<|message|>{\"n\": 1}<|call|>",
      "<|channel|>final<|message|>It is 5."};
  return out;
}

HandDialect opened() {
  HandDialect out = tags();
  out.name = "opened";
  auto format = std::make_shared<AnswerFormat>(*out.format);
  format->opened = "<think>\n";
  out.format = format;
  out.answers = {"Hm.\n</think>\n\nYes.\n<call>{\"name\": \"f\", \"arguments\": {}}</call>"};
  return out;
}

HandDialect bare() {
  Dialect dialect;
  dialect.calls.style = CallStyle::kJsonObject;
  dialect.calls.name_path = {"name"};
  dialect.calls.arguments_path = {"parameters"};
  HandDialect out = make("bare", dialect);
  out.answers = {"{\"name\": \"f\", \"parameters\": {\"text\": \"}\"}}",
                 "{\"name\": \"unknown\", \"parameters\": {}}"};
  return out;
}

}  // namespace

std::vector<HandDialect> hand_dialects() {
  return {tags(), list(), function_tags(), channels(), opened(), bare()};
}

const HandDialect& hand_dialect(const std::string& name) {
  static const std::vector<HandDialect> all = hand_dialects();
  for (const HandDialect& dialect : all) {
    if (dialect.name == name) return dialect;
  }
  return all.front();
}

}  // namespace trireme

#include "model/chat/dialect/dialect_check.h"

#include <memory>

#include "base/json_value.h"
#include "base/text.h"
#include "model/chat/answer/answer_parser.h"
#include "model/chat/dialect/atoms.h"

namespace trireme {
namespace {

bool same_json(JsonValue a, JsonValue b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case JsonValue::Kind::kString:
      return a.string() == b.string();
    case JsonValue::Kind::kNumber:
      return a.number() == b.number();
    case JsonValue::Kind::kBoolean:
      return a.boolean() == b.boolean();
    case JsonValue::Kind::kNull:
      return true;
    case JsonValue::Kind::kArray: {
      std::vector<JsonValue> elements;
      a.each([&](JsonValue element) {
         elements.push_back(element);
         return ok_status();
       }).IgnoreError();
      size_t index = 0;
      bool same = elements.size() == b.count();
      b.each([&](JsonValue element) {
         same = same && same_json(elements[index++], element);
         return ok_status();
       }).IgnoreError();
      return same;
    }
    case JsonValue::Kind::kObject: {
      bool same = a.count() == b.count();
      b.each_member([&](std::string_view name, JsonValue member) {
         const auto other = a.find(name);
         same = same && other && same_json(*other, member);
         return ok_status();
       }).IgnoreError();
      return same;
    }
  }
  return false;
}

bool same_arguments(const std::string& json, const std::string& wanted) {
  const auto a = JsonValue::parse(json, "TRI-CHAT-006", "arguments", JsonNumbers::kAnySize);
  const auto b = JsonValue::parse(wanted, "TRI-CHAT-006", "arguments", JsonNumbers::kAnySize);
  return a.ok() && b.ok() && same_json(*a, *b);
}

struct ReadBack {
  ProbeAnswer answer;
  int32_t num_calls = 0;
};

ReadBack read_back(const std::shared_ptr<const AnswerFormat>& format, const std::string& text) {
  AnswerParser parser(format, 0);
  std::vector<AnswerPart> parts;
  parser.push(text, false, parts);
  parser.finish(parts);
  ReadBack read;
  read.num_calls = parser.num_calls();
  for (const AnswerPart& part : parts) {
    if (part.kind == PartKind::kContent) read.answer.content += part.text;
    if (part.kind == PartKind::kReasoning) read.answer.reasoning += part.text;
    if (part.kind != PartKind::kToolCall) continue;
    auto& calls = read.answer.calls;
    if (static_cast<size_t>(part.call_index) >= calls.size()) calls.push_back({part.name, {}});
    calls.back().arguments += part.text;
  }
  return read;
}

std::string difference(ReadBack read, const ProbeAnswer& wanted, bool any_kind) {
  if (any_kind && read.answer.content.empty() && wanted.reasoning.empty()) {
    std::swap(read.answer.content, read.answer.reasoning);
  }
  if (read.answer.reasoning != wanted.reasoning) {
    return format_text("reasoning reads as \"{}\"", read.answer.reasoning);
  }
  if (read.answer.content != wanted.content) {
    return format_text("content reads as \"{}\"", read.answer.content);
  }
  if (static_cast<size_t>(read.num_calls) != wanted.calls.size() ||
      read.answer.calls.size() != wanted.calls.size()) {
    return format_text("{} tool calls read as {}", wanted.calls.size(), read.num_calls);
  }
  for (size_t i = 0; i < wanted.calls.size(); ++i) {
    if (read.answer.calls[i].name != wanted.calls[i].name) {
      return format_text("a call's name reads as \"{}\"", read.answer.calls[i].name);
    }
    if (!same_arguments(read.answer.calls[i].arguments, wanted.calls[i].arguments)) {
      return format_text(
          "arguments {} read as {}", wanted.calls[i].arguments, read.answer.calls[i].arguments);
    }
  }
  return "";
}

}  // namespace

std::vector<ProbeAnswer> call_probes(bool several_calls, bool reasoning) {
  const auto call = [](std::string arguments) {
    return ProbeCall{std::string(kProbeTool), std::move(arguments)};
  };
  const ProbeCall usual = call(R"({"zq_key": "zq value", "zq_last": "zq end"})");
  std::vector<ProbeAnswer> probes = {
      {{}, {}, {usual}},
      {{}, {}, {call("{}")}},
      {{}, {}, {call(R"({"zq_key": "a \"b\" <c> {d}\n\u00e9 5", "zq_last": "true"})")}},
      {{}, {}, {call(R"({"zq_count": -12, "zq_flag": true})")}},
      {{}, {}, {call(R"({"zq_nested": {"list": [1, 2.5, "x", {"y": {}}], "z": false}})")}},
      {std::string(kProbeContent), {}, {usual}},
  };
  if (several_calls) {
    probes.push_back({{}, {}, {usual, {std::string(kProbeOtherTool), "{}"}}});
    probes.push_back(
        {std::string(kProbeContent), {}, {call("{}"), {std::string(kProbeOtherTool), "{}"}}});
  }
  if (reasoning) probes.push_back({{}, std::string(kProbeThought), {usual}});
  return probes;
}

AnswerFormat probe_format(const Dialect& dialect) {
  AnswerFormat format;
  format.dialect = std::make_shared<const Dialect>(dialect);
  const auto text = ParameterType::kString;
  format.tools = {{std::string(kProbeTool), {{"zq_key", text}, {"zq_last", text}}},
                  {std::string(kProbeOtherTool), {{"zq_key", text}}}};
  format.reads_calls = dialect.calls.style != CallStyle::kNone;
  return format;
}

std::string check_answers(const Dialect& dialect,
                          const std::vector<CheckedAnswer>& answers,
                          const std::string& content_tail) {
  const auto format = std::make_shared<const AnswerFormat>(probe_format(dialect));
  for (const CheckedAnswer& answer : answers) {
    const size_t turn_end = common_atom_suffix(answer.text, content_tail);
    const std::string text = answer.text.substr(0, answer.text.size() - turn_end);
    const std::string fault = difference(read_back(format, text), answer.wanted, answer.any_kind);
    if (!fault.empty()) return "a rendered answer cannot be read back: " + fault;
  }
  return "";
}

}  // namespace trireme

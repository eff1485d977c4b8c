// A chat's answers for tests of the Engine: the demo tokenizer, and a dialect with reasoning and
// calls between tags.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/chat/answer/answer_format.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/coordinator/engine_fixture.h"

namespace trireme {

inline std::unique_ptr<const Tokenizer> demo_tokenizer() {
  return Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json").value();
}

inline std::shared_ptr<AnswerFormat> tag_format() {
  Dialect dialect;
  dialect.reasoning_open = make_marker("<think>\n");
  dialect.reasoning_close = make_marker("\n</think>\n\n");
  dialect.calls.style = CallStyle::kJsonObject;
  dialect.calls.open = make_marker("\n<call>");
  dialect.calls.close = make_marker("</call>");
  dialect.calls.name_path = {"name"};
  dialect.calls.arguments_path = {"arguments"};
  auto format = std::make_shared<AnswerFormat>();
  format->dialect = std::make_shared<const Dialect>(dialect);
  format->reads_calls = true;
  format->tools = {{"weigh", {}}};
  return format;
}

constexpr char kThought[] = "Weigh anchor, or not?";
constexpr char kContent[] = "Aye. Weigh it.";
constexpr char kArguments[] = "{\"what\": \"anchor\"}";

inline std::string reasoned_answer() {
  return std::string("<think>\n") + kThought + "\n</think>\n\n" + kContent;
}

inline std::string called_answer() {
  return reasoned_answer() + "\n<call>{\"name\": \"weigh\", \"arguments\": " + kArguments +
         "}</call>";
}

inline std::vector<TokenId> ids_of(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, EncodeOptions{false, false}).value();
}

inline std::string joined(const std::vector<AnswerPart>& parts, PartKind kind) {
  std::string text;
  for (const AnswerPart& part : parts) {
    if (part.kind == kind) text += part.text;
  }
  return text;
}

}  // namespace trireme

// Answers of models to the parser, for the dialects of several templates: cut into pieces or whole,
// the parts are the same, and nothing but white space and markers is lost where nothing is a call.
// The first byte chooses the template, the second the pieces.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "model/chat/chat_format.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace {

constexpr const char* kTemplates[] = {"tools",
                                      "tagged_parameters",
                                      "call_list",
                                      "fenced",
                                      "keys_and_values",
                                      "numbered_ids",
                                      "bare_object"};

struct Formats {
  std::unique_ptr<const Tokenizer> tokenizer;
  std::vector<std::unique_ptr<const ChatFormat>> formats;
  std::vector<std::shared_ptr<const AnswerFormat>> answers;

  Formats() {
    const std::string demo = TRIREME_SOURCE_DIR "/models/demo";
    auto loaded = Tokenizer::load_folder(demo);
    CHECK(loaded.ok());
    tokenizer = std::move(*loaded);
    ChatRequest request;
    request.messages_json = R"([{"role": "user", "content": "hi"}])";
    request.tools_json = R"([{"type": "function", "function": {"name": "get_weather",
      "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])";
    for (const char* name : kTemplates) {
      const std::string file =
          std::string(TRIREME_SOURCE_DIR "/tests/doors/templates/") + name + ".jinja";
      auto format = ChatFormat::load(demo, file, *tokenizer);
      CHECK(format.ok());
      auto prompt = (*format)->prompt_of(request, 0);
      CHECK(prompt.ok());
      answers.push_back(prompt->format);
      formats.push_back(std::move(*format));
    }
  }
};

// Kind, call and name with the joined text of each part.
std::string join_parts(const std::vector<AnswerPart>& parts) {
  std::string joined;
  std::string last;
  for (const AnswerPart& part : parts) {
    const std::string head =
        std::to_string(static_cast<int>(part.kind)) + ":" + std::to_string(part.call_index);
    if (head != last) joined += "\n" + head + " ";
    last = head;
    joined += part.name + part.text;
  }
  return joined;
}

std::string parse(const std::shared_ptr<const AnswerFormat>& format,
                  std::string_view text,
                  size_t piece) {
  AnswerParser parser(format, 1);
  std::vector<AnswerPart> parts;
  while (!text.empty()) {
    const size_t size = std::min(piece, text.size());
    parser.push(text.substr(0, size), false, parts);
    text.remove_prefix(size);
  }
  parser.finish(parts);
  return join_parts(parts);
}

}  // namespace
}  // namespace trireme

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;
  static const Formats formats;
  if (size < 3) return 0;
  const auto& format = formats.answers[data[0] % formats.answers.size()];
  std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  for (char& c : text) c = static_cast<char>(c & 0x7f);  // whole characters
  CHECK(parse(format, text, 1 + data[1] % 7) == parse(format, text, text.size()));
  return 0;
}

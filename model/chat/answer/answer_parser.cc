#include "model/chat/answer/answer_parser.h"

#include <utility>

#include "base/split_mix.h"
#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/answer_reader.h"

namespace trireme {
namespace {

constexpr char kIdCharacters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

std::string make_call_id(uint64_t seed, int32_t call_index, bool short_ids) {
  uint64_t state = seed;
  state = split_mix64(state) + static_cast<uint64_t>(call_index);
  std::string id = short_ids ? "" : "call_";
  for (int i = 0; i < (short_ids ? 9 : 24); ++i) {
    id += kIdCharacters[split_mix64(state) % (sizeof(kIdCharacters) - 1)];
  }
  return id;
}

std::shared_ptr<const AnswerFormat> usable(std::shared_ptr<const AnswerFormat> format) {
  if (format && format->dialect) return format;
  auto plain = std::make_shared<AnswerFormat>();
  plain->dialect = std::make_shared<const Dialect>();
  return plain;
}

}  // namespace

struct AnswerParser::State {
  State(std::shared_ptr<const AnswerFormat> answer_format, uint64_t seed)
      : format(usable(std::move(answer_format))), call_id_seed(seed), reader(format) {
    const AnswerReader::Sink nothing = [](const ReadEvent&) {};
    if (!format->opened.empty()) {
      reader.push(format->opened, false, nothing);
      reader.begin_answer();
    }
  }

  void push(std::string_view text, bool special, std::vector<AnswerPart>& parts) {
    const AnswerReader::Sink sink = [&](const ReadEvent& event) { add(event, parts); };
    if (!forced_shown) {
      forced_shown = true;
      if (!format->forced.empty()) reader.push(format->forced, false, sink);
    }
    reader.push(text, special, sink);
  }

  void add(const ReadEvent& event, std::vector<AnswerPart>& parts) {
    switch (event.kind) {
      case ReadKind::kContent:
        return add_text(PartKind::kContent, 0, event.text, parts);
      case ReadKind::kReasoning:
        return add_text(PartKind::kReasoning, 0, event.text, parts);
      case ReadKind::kArguments:
        return add_text(PartKind::kToolCall, num_begun - 1, event.text, parts);
      case ReadKind::kCallBegin:
        parts.push_back({PartKind::kToolCall,
                         num_begun,
                         make_call_id(call_id_seed, num_begun, format->dialect->calls.short_ids),
                         std::string(event.text),
                         {}});
        ++num_begun;
        return;
      case ReadKind::kMarker:
      case ReadKind::kDropped:
      case ReadKind::kCallEnd:
        return;
    }
  }

  static void add_text(PartKind kind,
                       int32_t call_index,
                       std::string_view text,
                       std::vector<AnswerPart>& parts) {
    if (text.empty()) return;
    if (!parts.empty() && parts.back().kind == kind && parts.back().call_index == call_index) {
      parts.back().text += text;
    } else {
      parts.push_back({kind, call_index, {}, {}, std::string(text)});
    }
  }

  std::shared_ptr<const AnswerFormat> format;
  uint64_t call_id_seed;
  AnswerReader reader;
  bool forced_shown = false;
  int32_t num_begun = 0;
};

AnswerParser::AnswerParser(std::shared_ptr<const AnswerFormat> format, uint64_t call_id_seed)
    : state_(std::make_unique<State>(std::move(format), call_id_seed)) {}
AnswerParser::~AnswerParser() = default;
AnswerParser::AnswerParser(AnswerParser&&) noexcept = default;
AnswerParser& AnswerParser::operator=(AnswerParser&&) noexcept = default;

void AnswerParser::push(std::string_view text, bool special, std::vector<AnswerPart>& parts) {
  state_->push(text, special, parts);
}

void AnswerParser::finish(std::vector<AnswerPart>& parts) {
  state_->push("", false, parts);
  state_->reader.finish([&](const ReadEvent& event) { state_->add(event, parts); });
}

int32_t AnswerParser::num_calls() const { return state_->reader.num_calls(); }
bool AnswerParser::in_reasoning() const { return state_->reader.in_reasoning(); }
bool AnswerParser::wants_end() const { return state_->reader.wants_end(); }

}  // namespace trireme

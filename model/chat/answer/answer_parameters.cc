// The part of AnswerReader for calls with tagged parameters: their texts become a JSON object.
#include <algorithm>

#include "model/chat/answer/answer_reader.h"

namespace trireme {
namespace {

constexpr size_t kMaxParameterNameBytes = 256;

// The JSON of a value that the schema does not call a string: JSON as it is, and Python's words.
std::string json_of(std::string_view text, ParameterType type) {
  std::string_view word = text;
  word.remove_prefix(count_blanks(word));
  while (!word.empty() && is_blank(word.back())) word.remove_suffix(1);
  if (word == "None" || word == "null") return "null";
  std::string out;
  if (type == ParameterType::kStringOrNull) {
    append_json_string(text, out);
    return out;
  }
  if (word == "True") return "true";
  if (word == "False") return "false";
  const std::string padded = std::string(word) + ",";
  if (!word.empty() && json_value_length(padded) == word.size()) return std::string(word);
  append_json_string(word, out);
  return out;
}

}  // namespace

ParameterType AnswerReader::type_of(std::string_view parameter) const {
  for (const ToolTypes& tool : format_->tools) {
    if (tool.name != tool_) continue;
    for (const auto& [name, type] : tool.parameters) {
      if (name == parameter) return type;
    }
  }
  return ParameterType::kAny;
}

bool AnswerReader::read_parameters() {
  const std::string_view text = rest();
  const size_t blanks = marker_blanks(text);
  const std::string_view next = text.substr(blanks);
  if (next.empty() && !end_) return false;
  const auto match = [&](std::string_view core, bool& waits) -> size_t {
    if (core.empty()) return 0;
    const MarkerMatch found = match_core(core, next);
    if (found.kind == MatchKind::kPartial && !end_) waits = true;
    return found.kind == MatchKind::kFull ? found.length : 0;
  };
  bool waits = false;
  if (blanks > kMaxMarkerBlanks) {
    fresh_ = false;
    enter(State::kContent);
    return true;
  }
  if (const size_t length = match(calls().parameter_open.core, waits)) {
    emit(ReadKind::kMarker, blanks + length);
    enter(State::kParameterName);
    return true;
  }
  size_t length = match(calls().close.core, waits);
  if (length == 0 && !waits) length = match(calls().tagged_end, waits);
  if (length > 0) {
    emit_as(ReadKind::kArguments, blanks + length, has_parameters_ ? "}" : "{}");
    end_call(State::kClose);
    if (state_ == State::kClose) enter(State::kBetween);
    return true;
  }
  if (waits) return false;
  fresh_ = false;
  enter(State::kContent);
  return true;
}

bool AnswerReader::read_parameter_name() {
  const std::string_view text = rest().substr(0, kMaxParameterNameBytes);
  const bool cut = rest().size() > kMaxParameterNameBytes;
  const std::string& core = calls().parameter_name_end.core;
  for (size_t at = 0; at < text.size(); ++at) {
    const MarkerMatch match = match_core(core, text.substr(at));
    if (match.kind == MatchKind::kNo) continue;
    if (match.kind == MatchKind::kPartial || at == 0) break;
    std::string_view name = text.substr(0, at);
    name.remove_prefix(std::min(count_blanks(name), name.size()));
    while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
    parameter_type_ = type_of(name);
    const bool string = parameter_type_ == ParameterType::kString;
    std::string json = has_parameters_ ? ", " : "{";
    append_json_string(name, json);
    json += string ? ": \"" : ": ";
    has_parameters_ = true;
    emit_as(ReadKind::kArguments, at + match.length, json);
    swallow_ = calls().parameter_name_end.after;
    enter(string ? State::kText : State::kTyped);
    return true;
  }
  if (!end_ && !cut) return false;
  fresh_ = false;
  enter(State::kContent);
  return true;
}

// Text of an argument, JSON-escaped, without special tokens.
void AnswerReader::emit_text(size_t length) {
  while (length > 0) {
    const bool special = special_[at_] != 0;
    size_t same = 1;
    while (same < length && (special_[at_ + same] != 0) == special) ++same;
    std::string json;
    if (!special) append_json_escaped(rest().substr(0, same), json);
    emit_as(special ? ReadKind::kDropped : ReadKind::kArguments, same, json);
    length -= same;
  }
}

bool AnswerReader::read_text() {
  const Marker* markers[] = {&calls().parameter_close};
  const Found found = find(markers, 1);
  if (found.which < 0) {
    emit_text(found.at);
    return false;
  }
  const size_t blanks = common_end(rest().substr(0, found.at), markers[0]->before);
  emit_text(found.at - blanks);
  emit_as(ReadKind::kArguments, blanks + found.length, "\"");
  enter(State::kParameters);
  return true;
}

bool AnswerReader::read_typed() {
  const Marker* markers[] = {&calls().parameter_close};
  const Found found = find(markers, 1, searched_);
  if (found.which < 0) {
    searched_ = found.at;
    if (end_) emit_as(ReadKind::kArguments, rest().size(), rest());
    return false;
  }
  const std::string_view text = rest().substr(0, found.at);
  const size_t blanks = common_end(text, markers[0]->before);
  const std::string json = json_of(text.substr(0, text.size() - blanks), parameter_type_);
  emit_as(ReadKind::kArguments, found.at + found.length, json);
  enter(State::kParameters);
  return true;
}

}  // namespace trireme

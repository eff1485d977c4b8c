#include "model/chat/answer/answer_reader.h"

#include <algorithm>
#include <utility>

#include "model/chat/answer/marker_match.h"

namespace trireme {
namespace {

constexpr size_t kMaxHeadBytes = 512;
constexpr char kSpecial = 1;
constexpr char kSpecialBegin = 2;  // of each special token

// Heads that differ in their words only: the same tags in the same order.
bool same_shape(std::string_view a, std::string_view b) {
  const auto tags = [](std::string_view text) {
    std::string out;
    for (size_t at = 0; (at = text.find('<', at)) != std::string_view::npos; ++at) {
      const size_t end = text.find('>', at);
      if (end == std::string_view::npos) break;
      out += text.substr(at, end + 1 - at);
    }
    return out;
  };
  const auto words = [](std::string_view text) {
    return std::ranges::count_if(text, [](char c) { return is_blank(c) || c == '='; });
  };
  return tags(a) == tags(b) && words(a) == words(b);
}

}  // namespace

AnswerReader::AnswerReader(std::shared_ptr<const AnswerFormat> format)
    : format_(std::move(format)) {
  state_ = segments() ? State::kHead : State::kContent;
  if (!segments()) swallow_ = format_->dialect->content_open.after;
}

void AnswerReader::push(std::string_view text, bool special, const Sink& sink) {
  buffer_ += text;
  if (!text.empty()) special_ += special ? kSpecialBegin : '\0';
  if (text.size() > 1) special_.append(text.size() - 1, special ? kSpecial : '\0');
  sink_ = &sink;
  while (run()) {
  }
  buffer_.erase(0, at_);
  special_.erase(0, at_);
  at_ = 0;
}

void AnswerReader::finish(const Sink& sink) {
  end_ = true;
  push("", false, sink);
}

void AnswerReader::begin_answer() {
  const bool held_text = count_blanks(buffer_) < buffer_.size();
  buffer_.clear();
  special_.clear();
  at_ = 0;
  const bool goes_on =
      state_ == State::kHead || state_ == State::kContent || state_ == State::kReasoning;
  if (!goes_on || held_text || after_call_) fresh_ = false;
  if (!goes_on) {
    swallow_.clear();
    enter(State::kContent);
  }
  blanks_before_ = 0;
  in_section_ = false;
  after_call_ = false;
  num_complete_ = 0;
}

bool AnswerReader::run() {
  if (at_ == buffer_.size()) return false;
  if (state_ == State::kEnded) {
    emit(ReadKind::kMarker, rest().size());
    return false;
  }
  if (!swallow_.empty()) return swallow_blanks();
  switch (state_) {
    case State::kHead:
      return read_head();
    case State::kContent:
      return fresh_ ? read_fresh() : read_content();
    case State::kReasoning:
      return read_reasoning();
    case State::kCall:
      return read_call();
    case State::kArguments:
      return read_arguments();
    case State::kTail:
      return read_tail();
    case State::kParameters:
      return read_parameters();
    case State::kParameterName:
      return read_parameter_name();
    case State::kText:
      return read_text();
    case State::kTyped:
      return read_typed();
    case State::kClose:
      return read_close();
    case State::kBetween:
      return read_between();
    case State::kEnded:
      break;
  }
  return false;
}

bool AnswerReader::swallow_blanks() {
  if (rest().front() == swallow_.front()) {
    emit(ReadKind::kMarker, 1);
    swallow_.erase(0, 1);
  } else {
    swallow_.clear();
  }
  return true;
}

// The first of the markers in rest(). Without one: where the longest possible begin of one stands,
// with the white space that it would take along; length 0.
AnswerReader::Found AnswerReader::find(const Marker* const* markers, int count, size_t from) {
  const std::string_view text = rest();
  num_searched_bytes_ += text.size() - from;
  size_t before = 0;
  for (int m = 0; m < count; ++m) before = std::max(before, markers[m]->before.size());
  size_t held = text.size();
  for (size_t at = from; at < text.size() && held == text.size(); ++at) {
    for (int m = 0; m < count; ++m) {
      if (!markers[m]->present() || text[at] != markers[m]->core[0]) continue;
      const MarkerMatch match = match_core(markers[m]->core, text.substr(at));
      if (match.kind == MatchKind::kFull) return {at, match.length, m};
      if (match.kind == MatchKind::kPartial && !end_) held = at;
    }
  }
  if (end_) return {text.size(), 0, -1};
  size_t blanks = 0;
  while (blanks < before && held > 0 && is_blank(text[held - 1])) --held, ++blanks;
  return {held, 0, -1};
}

// Segments: everything up to the marker of a body says what kind of body it is.
bool AnswerReader::read_head() {
  const Dialect& dialect = *format_->dialect;
  if (format_->reads_calls && calls().has_tag()) {
    const size_t blanks = count_blanks(rest().substr(0, kMaxHeadBytes + 1));
    if (blanks == rest().size() && blanks <= kMaxHeadBytes && !end_) return false;
    for (const Marker* open : {&calls().section_open, &calls().open}) {
      if (!open->present() || blanks > kMaxHeadBytes) continue;
      const MarkerMatch match = match_core(open->core, rest().substr(blanks));
      if (match.kind == MatchKind::kPartial && !end_) return false;
      if (match.kind != MatchKind::kFull) continue;
      blanks_before_ = blanks;
      place_ = CallPlace::kFirst;
      enter(State::kCall);
      return true;
    }
  }
  const Marker* bodies[] = {&dialect.content_open, &dialect.reasoning_open, &calls().name_end};
  Marker ends[3];
  const Marker* markers[3];
  for (int i = 0; i < 3; ++i) {  // the last tag of each opening begins the body
    const size_t tag = bodies[i]->core.rfind('<');
    ends[i].core = tag == std::string::npos ? bodies[i]->core : bodies[i]->core.substr(tag);
    markers[i] = &ends[i];
  }
  const std::string_view text = rest().substr(0, kMaxHeadBytes);
  const Found found = find(markers, 3);
  if (found.which >= 0 && found.at + found.length <= kMaxHeadBytes) {
    if (open_head(text.substr(0, found.at + found.length), found.at + found.length)) return true;
  } else if (!end_ && rest().size() <= kMaxHeadBytes) {
    return false;
  }
  fresh_ = false;
  enter(State::kContent);
  return true;
}

bool AnswerReader::open_head(std::string_view head, size_t length) {
  const Dialect& dialect = *format_->dialect;
  const auto is = [&](const Marker& marker) {
    const MarkerMatch match =
        marker.present() ? match_core(marker.core, head.substr(count_blanks(head))) : MarkerMatch{};
    return match.kind == MatchKind::kFull && count_blanks(head) + match.length == head.size();
  };
  const std::string recipient = calls().has_tag() ? "" : calls().open.core;
  const size_t to = recipient.empty() ? std::string::npos : head.find(recipient);
  if (to != std::string_view::npos) {
    CallOpening opening;
    const size_t begin = to + recipient.size();
    opening.name = head.substr(begin, tool_name_length(head.substr(begin)));
    opening.length = length;
    if (!format_->reads_calls || opening.name.empty()) return false;
    return begin_call(opening);
  }
  // A recipient that is no function is a tool of the model's own; what it is told is no answer.
  const std::string_view address = std::string_view(recipient).substr(0, recipient.find('=') + 1);
  const bool own_tool = dialect.reasoning_open.present() && to == std::string_view::npos &&
                        !address.empty() && head.find(address) != std::string_view::npos;
  if (is(dialect.reasoning_open) || own_tool) {
    marker(dialect.reasoning_open, length);
    enter(State::kReasoning);
    return true;
  }
  if (!is(dialect.content_open) && !same_shape(head, dialect.content_open.core)) return false;
  marker(dialect.content_open, length);
  fresh_ = false;
  enter(State::kContent);
  return true;
}

// The begin of an answer, or of what follows reasoning or a call: white space waits for what
// comes.
bool AnswerReader::read_fresh() {
  const std::string_view text = rest();
  const size_t blanks = marker_blanks(text);
  if (blanks > kMaxMarkerBlanks) {
    fresh_ = false;
    return true;
  }
  if (blanks == text.size()) {
    if (end_) emit(after_call_ ? ReadKind::kMarker : ReadKind::kContent, blanks);
    return end_;
  }
  const Marker& opening = format_->dialect->reasoning_open;
  if (opening.present() && !segments() && num_complete_ == 0) {
    const MarkerMatch match = match_core(opening.core, text.substr(blanks));
    if (match.kind == MatchKind::kFull) {
      marker(opening, blanks + match.length);
      enter(State::kReasoning);
      return true;
    }
    const Marker& closing = format_->dialect->reasoning_close;  // of reasoning that is left out
    const MarkerMatch closed = match_core(closing.core, text.substr(blanks));
    if (closed.kind == MatchKind::kFull && !reasoned_) {
      marker(closing, blanks + closed.length);
      reasoned_ = true;
      return true;
    }
    const bool partial =
        match.kind == MatchKind::kPartial || (closed.kind == MatchKind::kPartial && !reasoned_);
    if (partial && !end_) return false;
  }
  if (blanks == 0 && special_[at_] == kSpecialBegin && !segments()) {
    const Marker* markers[] = {&calls().section_open, &calls().open};
    const Found found = find(markers, format_->reads_calls ? 2 : 0);
    if (found.at > 0) return drop_special();
    if (found.which < 0) return false;
  }
  if (format_->reads_calls && calls().bare() && bare_allowed_ && !segments()) {
    blanks_before_ = blanks;
    place_ = CallPlace::kFirst;
    bare_allowed_ = false;
    enter(State::kCall);
    return true;
  }
  if (blanks == 0 || !format_->reads_calls) {
    fresh_ = false;
    return true;
  }
  const Marker* markers[] = {&calls().section_open, &calls().open};
  const Found found = find(markers, 2);
  if (found.which >= 0 && found.at == blanks) {
    blanks_before_ = blanks;
    place_ = CallPlace::kFirst;
    enter(State::kCall);
    return true;
  }
  if (found.which < 0 && found.at <= blanks && found.at < text.size() && !end_) return false;
  fresh_ = false;
  return true;
}

// A special token that is no marker leaves the begin of an answer a begin.
bool AnswerReader::drop_special() {
  size_t length = 1;
  while (at_ + length < special_.size() && special_[at_ + length] == kSpecial) ++length;
  emit(ReadKind::kContent, length);
  return true;
}

bool AnswerReader::read_content() {
  const std::string_view text = rest();
  if (segments()) {
    const Marker* end[] = {&format_->dialect->segment_end};
    const Found found = find(end, 1);
    if (found.which < 0) {
      emit(ReadKind::kContent, found.at);
      return false;
    }
    emit(ReadKind::kContent, found.at);
    marker(*end[0], found.length);
    enter(State::kHead);
    return true;
  }
  if (!format_->reads_calls) {
    emit(ReadKind::kContent, text.size());
    return false;
  }
  const Marker* markers[] = {&calls().section_open, &calls().open};
  const Found found = find(markers, 2);
  if (found.which < 0) {
    emit(ReadKind::kContent, found.at);
    return false;
  }
  const std::string& before = markers[found.which]->before;
  blanks_before_ = common_end(text.substr(0, found.at), before);
  emit(ReadKind::kContent, found.at - blanks_before_);
  place_ = CallPlace::kFirst;
  enter(State::kCall);
  return true;
}

bool AnswerReader::read_reasoning() {
  const std::string_view text = rest();
  const Marker* markers[] = {&format_->dialect->reasoning_close};
  const Found found = find(markers, 1);
  if (found.which < 0) {
    emit(ReadKind::kReasoning, found.at);
    return false;
  }
  const size_t blanks = common_end(text.substr(0, found.at), markers[0]->before);
  emit(ReadKind::kReasoning, found.at - blanks);
  marker(*markers[0], blanks + found.length);
  reasoned_ = true;
  fresh_ = true;
  bare_allowed_ = true;
  enter(segments() ? State::kHead : State::kContent);
  return true;
}

void AnswerReader::marker(const Marker& marker, size_t length) {
  emit(ReadKind::kMarker, length);
  swallow_ = marker.after;
}

void AnswerReader::note(ReadKind kind, std::string_view text) { (*sink_)({kind, {}, text}); }

void AnswerReader::emit_as(ReadKind kind, size_t length, std::string_view text) {
  const std::string_view source = rest().substr(0, length);
  at_ += length;
  (*sink_)({kind, source, text});
}

// Content and reasoning leave out special tokens.
void AnswerReader::emit(ReadKind kind, size_t length) {
  const bool shown = kind != ReadKind::kMarker;
  while (length > 0) {
    const bool special = shown && special_[at_] != 0;
    size_t same = 1;
    while (same < length && (shown && special_[at_ + same] != 0) == special) ++same;
    const std::string_view source = rest().substr(0, same);
    emit_as(special ? ReadKind::kDropped : kind, same, shown && !special ? source : "");
    length -= same;
  }
}

}  // namespace trireme

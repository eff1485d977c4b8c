// The part of AnswerReader for calls: where they begin and end, and what follows them.
#include <algorithm>

#include "model/chat/answer/answer_reader.h"
#include "model/chat/answer/marker_match.h"

namespace trireme {

bool AnswerReader::read_call() {
  const std::string_view text = rest().substr(blanks_before_);
  const CallOpening opening = read_call_opening(calls(), text, place_, end_);
  if (opening.kind == MatchKind::kPartial) return false;
  const bool is_call =
      opening.kind == MatchKind::kFull && (!calls().bare() || is_declared(opening.name));
  if (!is_call) {
    fail_call();
    return true;
  }
  CallOpening shifted = opening;
  shifted.length += blanks_before_;
  in_section_ = opening.in_section;
  return begin_call(shifted);
}

// The marker begins no call: it is content, and so is what follows, if nothing else begins in it.
void AnswerReader::fail_call() {
  const std::string_view text = rest();
  size_t length = blanks_before_;
  if (length < text.size()) ++length;
  while (length < text.size() && (text[length] & 0xC0) == 0x80) ++length;
  fresh_ = false;
  in_section_ = false;
  enter(State::kContent);
  emit(ReadKind::kContent, length);
}

bool AnswerReader::begin_call(const CallOpening& opening) {
  emit_as(ReadKind::kCallBegin, opening.length, opening.name);
  after_call_ = true;
  if (opening.whole) {
    note(ReadKind::kArguments, opening.arguments);
    end_call(State::kClose);
    return true;
  }
  nesting_ = opening.nesting;
  scanner_ = JsonScanner(true);
  tool_ = opening.name;
  has_parameters_ = false;
  enter(calls().style == CallStyle::kTagged ? State::kParameters : State::kArguments);
  return true;
}

void AnswerReader::end_call(State next) {
  note(ReadKind::kCallEnd, "");
  ++num_complete_;
  enter(format_->one_call && next == State::kClose ? State::kEnded : next);
}

bool AnswerReader::read_arguments() {
  const std::string_view text = rest();
  size_t plain = 0;
  while (plain < text.size() && special_[at_ + plain] == 0) ++plain;
  size_t used = 0;
  const JsonScanner::Result result = scanner_.feed(text.substr(0, plain), used);
  if (used > 0) emit_as(ReadKind::kArguments, used, text.substr(0, used));
  if (result == JsonScanner::Result::kDone) {
    end_call(nesting_ > 0 ? State::kTail : State::kClose);
    return true;
  }
  const bool broken = result == JsonScanner::Result::kBad || plain < text.size();
  if (broken) {
    fresh_ = false;
    enter(State::kContent);
  }
  return broken;
}

bool AnswerReader::read_tail() {
  const MarkerMatch match = match_object_tail(calls(), rest(), nesting_);
  if (match.kind == MatchKind::kPartial && !end_) return false;
  if (match.kind == MatchKind::kFull) emit(ReadKind::kMarker, match.length);
  enter(State::kClose);
  if (format_->one_call) enter(State::kEnded);
  return true;
}

bool AnswerReader::read_close() {
  if (!calls().close.present()) {
    enter(State::kBetween);
    return true;
  }
  const std::string_view text = rest();
  const size_t blanks = marker_blanks(text);
  const MarkerMatch match = match_core(calls().close.core, text.substr(blanks));
  if (match.kind == MatchKind::kPartial && !end_) return false;
  if (match.kind == MatchKind::kFull) emit(ReadKind::kMarker, blanks + match.length);
  enter(State::kBetween);
  return true;
}

// After a call: the next one, the end of all, or something else.
bool AnswerReader::read_between() {
  const std::string_view text = rest();
  const size_t blanks = marker_blanks(text);
  if (blanks > kMaxMarkerBlanks) {
    in_section_ = false;
    fresh_ = false;
    enter(State::kContent);
    return true;
  }
  const std::string_view next = text.substr(blanks);
  const bool bare = calls().bare() && !calls().list;
  if ((in_section_ || bare) && next.empty() && !end_) return false;
  if (in_section_ && calls().list && next.starts_with(']')) {
    emit(ReadKind::kMarker, blanks + 1);
    in_section_ = false;
    return true;
  }
  if (in_section_ && calls().list && next.starts_with(',')) {
    begin_next_call(blanks + 1);  // the comma is content if no call follows
    return true;
  }
  if (bare && next.starts_with(';')) {  // so models separate calls that have no markers
    begin_next_call(blanks + 1);
    place_ = CallPlace::kFirst;
    return true;
  }
  const auto match = [&](const Marker& marker) {
    return marker.present() ? match_core(marker.core, next) : MarkerMatch{};
  };
  const MarkerMatch closes = match(calls().section_close);
  if (closes.kind == MatchKind::kPartial && !end_) return false;
  if (closes.kind == MatchKind::kFull) {
    emit(ReadKind::kMarker, blanks + closes.length);
    in_section_ = false;
    return true;
  }
  const MarkerMatch opens = in_section_ ? match(calls().open) : MarkerMatch{};
  if (opens.kind == MatchKind::kPartial && !end_) return false;
  const bool object = in_section_ && !calls().open.present() && !next.empty() && next[0] == '{';
  if (opens.kind == MatchKind::kFull || object) {
    begin_next_call(blanks);
    return true;
  }
  in_section_ = false;
  fresh_ = true;
  bare_allowed_ = !calls().list;
  const MarkerMatch ends = match(format_->dialect->segment_end);
  if (ends.kind == MatchKind::kPartial && !end_) return false;
  if (ends.kind == MatchKind::kFull) emit(ReadKind::kMarker, blanks + ends.length);
  enter(ends.kind == MatchKind::kFull ? State::kHead : State::kContent);
  return true;
}

void AnswerReader::begin_next_call(size_t blanks) {
  blanks_before_ = blanks;
  place_ = CallPlace::kNext;
  enter(State::kCall);
}

bool AnswerReader::is_declared(std::string_view name) const {
  return std::ranges::any_of(format_->tools, [&](const ToolTypes& t) { return t.name == name; });
}

}  // namespace trireme

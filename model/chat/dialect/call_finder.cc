#include "model/chat/dialect/call_finder.h"

#include <algorithm>

#include "base/json_value.h"
#include "model/chat/answer/json_scanner.h"
#include "model/chat/answer/marker_match.h"
#include "model/chat/dialect/atoms.h"
#include "model/chat/dialect/probe_chat.h"

namespace trireme {
namespace {

constexpr size_t kNone = std::string_view::npos;

bool is_blank_text(std::string_view text) { return count_blanks(text) == text.size(); }

// A part of a text.
struct Span {
  size_t begin = kNone;
  size_t end = 0;
};

bool is_object_of(std::string_view json, std::string_view wanted) {
  const auto value = JsonValue::parse(json, "TRI-CHAT-006", "arguments", JsonNumbers::kAnySize);
  const auto other = JsonValue::parse(wanted, "TRI-CHAT-006", "arguments", JsonNumbers::kAnySize);
  if (!value.ok() || !other.ok() || !value->is(JsonValue::Kind::kObject)) return false;
  if (value->count() != other->count()) return false;
  bool same = true;
  other
      ->each_member([&](std::string_view name, JsonValue member) {
        const auto found = value->find(name);
        same = same && found && found->is(JsonValue::Kind::kString) &&
               found->string() == member.string();
        return ok_status();
      })
      .IgnoreError();
  return same;
}

// The first JSON object after `from` with the members of `wanted`.
Span find_object(std::string_view text, size_t from, std::string_view wanted) {
  for (size_t at = text.find('{', from); at != kNone; at = text.find('{', at + 1)) {
    const size_t length = json_value_length(text.substr(at));
    if (length == 0 || length == kNone) continue;
    if (is_object_of(text.substr(at, length), wanted)) return {at, at + length};
  }
  return {};
}

// The outermost JSON value of kind `open` that holds [begin, end).
Span find_around(std::string_view text, char open, Span inner) {
  for (size_t at = text.find(open); at < inner.begin; at = text.find(open, at + 1)) {
    const size_t length = json_value_length(text.substr(at));
    if (length == 0 || length == kNone) continue;
    if (at + length >= inner.end) return {at, at + length};
  }
  return {};
}

// The keys on the way to the name and to the arguments, and all others.
void find_paths(JsonValue object, std::vector<std::string>& path, CallDialect& calls) {
  object
      .each_member([&](std::string_view key, JsonValue value) {
        path.emplace_back(key);
        if (value.is(JsonValue::Kind::kString) && value.string() == kProbeTool) {
          calls.name_path = path;
        } else if (value.is(JsonValue::Kind::kObject) &&
                   is_object_of(value.text(), probe_two_arguments())) {
          calls.arguments_path = path;
        } else if (value.is(JsonValue::Kind::kObject)) {
          find_paths(value, path, calls);
        } else {
          calls.other_keys.emplace_back(key);
        }
        path.pop_back();
        return ok_status();
      })
      .IgnoreError();
}

// One call: the text before it, the call between its name's begin and its arguments' end, the rest.
struct OneCall {
  Span name;
  Span arguments;
  Span whole;  // kJsonObject: the object; else from the name to the arguments' end
};

class CallFinder {
 public:
  explicit CallFinder(const CallTexts& texts) : texts_(texts) {}

  FoundCalls find() {
    const std::string& text = texts_.two_arguments;
    OneCall call;
    call.name.begin = text.find(kProbeTool);
    if (call.name.begin == kNone) return fault("the template does not show the names of calls");
    call.name.end = call.name.begin + kProbeTool.size();
    call.arguments = find_object(text, call.name.end, probe_two_arguments());
    if (call.arguments.begin == kNone) {
      if (find_object(text, 0, probe_two_arguments()).begin != kNone) {
        return fault("the template writes the arguments of a call before its name");
      }
      tagged(call);
    } else {
      json(call);
    }
    if (!found_.fault.empty()) return found_;
    for (const std::string_view id : {kProbeLongIds[0], kProbeShortIds[0]}) {
      if (found_.calls.before_name.find(id) != kNone || found_.calls.after_name.find(id) != kNone) {
        return fault("the template writes the id of a call in front of its arguments");
      }
    }
    allow_usual_keys();
    return found_;
  }

 private:
  FoundCalls fault(std::string text) {
    found_.fault = std::move(text);
    return found_;
  }

  // Models write these beside the name, whether or not the template does.
  void allow_usual_keys() {
    CallDialect& calls = found_.calls;
    if (calls.style != CallStyle::kJsonObject || !calls.bare()) return;
    for (const char* key : {"type", "id"}) {
      if (std::ranges::find(calls.other_keys, key) == calls.other_keys.end()) {
        calls.other_keys.emplace_back(key);
      }
    }
  }

  // The text after the last call, without what ends every turn.
  std::string_view without_turn_end(std::string_view text) const {
    return text.substr(0, text.size() - common_atom_suffix(text, texts_.content_tail));
  }

  void json(OneCall& call) {
    const std::string_view text = texts_.two_arguments;
    CallDialect& calls = found_.calls;
    call.whole = find_around(text, '{', {call.name.begin, call.arguments.end});
    if (call.whole.begin == kNone) {
      calls.style = CallStyle::kHeader;
      call.whole = {call.name.begin, call.arguments.end};
      set_name_end(text.substr(call.name.end, call.arguments.begin - call.name.end));
    } else {
      calls.style = CallStyle::kJsonObject;
      const auto object = JsonValue::parse(
          text.substr(call.whole.begin, call.whole.end - call.whole.begin), "TRI-CHAT-006", "it");
      std::vector<std::string> path;
      if (object.ok()) find_paths(*object, path, calls);
      if (calls.name_path.empty() || calls.arguments_path.empty()) {
        fault("the name of a call is no member of its JSON object");
        return;
      }
      const Span list = find_around(text, '[', call.whole);
      calls.list = list.begin != kNone;
      if (calls.list) call.whole = list;
    }
    calls.before_name = text.substr(0, call.name.begin);
    if (calls.style == CallStyle::kJsonObject) {
      calls.after_name = text.substr(call.name.end, call.arguments.begin - call.name.end);
    }
    const std::string_view before = text.substr(0, call.whole.begin);
    const std::string_view after = without_turn_end(text.substr(call.whole.end));
    if (calls.list) {
      calls.section_open = make_marker(before);
      calls.section_close = make_marker(after);
      found_.several = true;
      return;
    }
    factor(before, between_calls(), after);
  }

  // kHeader: what stands between the name and the arguments.
  void set_name_end(std::string_view between) {
    CallDialect& calls = found_.calls;
    calls.after_name = between;
    if (between.starts_with(":0")) {
      calls.numbered = true;
      between.remove_prefix(2);
    }
    for (const std::string_view id : {kProbeLongIds[0], kProbeShortIds[0]}) {
      const size_t at = between.find(id);
      if (at == kNone) continue;
      calls.id_open = make_marker(between.substr(0, at));
      calls.after_name = between.substr(0, at);
      between.remove_prefix(at + id.size());
    }
    calls.name_end = make_marker(between);
  }

  // The text between two calls; "" if there cannot be two.
  std::string_view between_calls() const {
    const std::string_view text = texts_.two_calls;
    Span first = find_object(text, 0, probe_one_argument());
    const size_t name = text.find(kProbeOtherTool);
    if (first.begin == kNone || name == kNone || name < first.end) return "";
    if (found_.calls.style != CallStyle::kJsonObject) {
      return text.substr(first.end, name - first.end);
    }
    const Span second = find_object(text, name, probe_one_argument());
    if (second.begin == kNone) return "";
    first = find_around(text, '{', first);
    const std::string_view rest = text.substr(first.end);
    const Span around = find_around(rest, '{', {name - first.end, second.end - first.end});
    return around.begin == kNone ? "" : rest.substr(0, around.begin);
  }

  // Markers of one call and of all calls, from the texts before, between and after them.
  void factor(std::string_view before, std::string_view between, std::string_view after) {
    CallDialect& calls = found_.calls;
    found_.several = !between.empty();
    if (between.empty()) {
      calls.open = make_marker(before);
      calls.close = make_marker(after);
      return;
    }
    const size_t close = common_atom_prefix(after, between);
    const std::string_view rest = between.substr(close);
    const size_t open = common_atom_suffix(before, rest);
    const std::string_view left = rest.substr(0, rest.size() - open);
    const std::string_view section_open = before.substr(0, before.size() - open);
    const std::string_view section_close = after.substr(close);
    const bool one_level = is_blank_text(section_open) && is_blank_text(section_close);
    if (!is_blank_text(left)) {  // some text that separates calls: only one can be read
      found_.several = false;
      calls.open = make_marker(before);
      calls.close = make_marker(after);
    } else if (one_level) {
      calls.open = make_marker(before);
      calls.close = make_marker(after);
    } else {
      calls.section_open = make_marker(section_open);
      calls.section_close = make_marker(section_close);
      calls.open = make_marker(before.substr(before.size() - open));
      calls.close = make_marker(after.substr(0, close));
    }
  }

  // Parameters in tags: the keys and values of the probe stand in order.
  void tagged(OneCall& call) {
    const std::string_view text = texts_.two_arguments;
    std::vector<Span> spans;
    size_t at = call.name.end;
    const std::string_view words[] = {"zq_key", kProbeValue, "zq_last", kProbeLastValue};
    for (const std::string_view word : words) {
      const size_t begin = text.find(word, at);
      if (begin == kNone) {
        fault("the template does not show the arguments of calls");
        return;
      }
      spans.push_back({begin, begin + word.size()});
      at = begin + word.size();
    }
    const auto between = [&](size_t begin, size_t end) { return text.substr(begin, end - begin); };
    const std::string_view to_key = between(call.name.end, spans[0].begin);
    const std::string_view to_value = between(spans[0].end, spans[1].begin);
    const std::string_view to_next = between(spans[1].end, spans[2].begin);
    const std::string_view tail = without_turn_end(text.substr(spans[3].end));
    CallDialect& calls = found_.calls;
    calls.style = CallStyle::kTagged;
    const size_t close = common_atom_prefix(to_next, tail);
    const size_t open = common_atom_suffix(to_key, to_next.substr(close));
    calls.parameter_close = make_marker(to_next.substr(0, close));
    calls.parameter_open = make_marker(to_key.substr(to_key.size() - open));
    calls.parameter_name_end = make_marker(to_value);
    calls.name_end = make_marker(to_key.substr(0, to_key.size() - open));
    calls.before_name = text.substr(0, call.name.begin);
    calls.after_name = to_key.substr(0, to_key.size() - open);
    if (!calls.parameter_open.present() || !calls.parameter_name_end.present() ||
        !calls.parameter_close.present()) {
      fault("arguments of calls are neither JSON nor in tags");
      return;
    }
    tagged_markers(tail.substr(close));
  }

  void tagged_markers(std::string_view after) {
    CallDialect& calls = found_.calls;
    const std::string_view text = texts_.two_calls;
    const size_t name = text.find(kProbeOtherTool);
    const size_t value = text.find(kProbeValue);
    std::string_view between;
    if (name != kNone && value != kNone && value < name) {
      between = text.substr(value + kProbeValue.size(), name - value - kProbeValue.size());
      const size_t close = between.find(calls.parameter_close.core);
      between = close == kNone ? "" : between.substr(close + calls.parameter_close.core.size());
    }
    const std::string blanks = calls.parameter_close.after;
    const std::string whole_after = blanks + std::string(after);
    factor(calls.before_name, between, whole_after);
    const Marker& end = calls.close.present() ? calls.close : calls.section_close;
    const auto atoms = atoms_of(end.core);
    calls.tagged_end = atoms.empty() ? "" : std::string(atoms[0]);
    if (calls.tagged_end.empty()) fault("nothing ends the parameters of a call");
  }

  const CallTexts& texts_;
  FoundCalls found_;
};

}  // namespace

std::string probe_two_arguments() { return R"({"zq_key": "zq value", "zq_last": "zq end"})"; }
std::string probe_one_argument() { return R"({"zq_key": "zq value"})"; }

FoundCalls find_calls(const CallTexts& texts) { return CallFinder(texts).find(); }

}  // namespace trireme

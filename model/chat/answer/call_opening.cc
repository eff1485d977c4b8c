#include "model/chat/answer/call_opening.h"

#include <algorithm>

#include "model/chat/answer/json_scanner.h"

namespace trireme {
namespace {

constexpr size_t kMaxTailBytes = 1024;

bool is_name_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':' || c == '/' || byte >= 0x80;
}

using Path = std::vector<std::string>;

bool begins_with(const Path& path, const Path& prefix) {
  return path.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

// A position in the text that moves over what is expected; remembers why it could not.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  std::string_view rest() const { return text_.substr(at_); }
  MatchKind failure() const { return failure_; }

  void skip_blanks() { at_ += count_blanks(rest()); }
  bool fail(MatchKind kind) {
    failure_ = kind;
    return false;
  }
  bool core(std::string_view core) {
    const MarkerMatch match = match_core(core, rest());
    if (match.kind != MatchKind::kFull) return fail(match.kind);
    at_ += match.length;
    return true;
  }
  bool marker(const Marker& marker) {
    skip_blanks();
    return core(marker.core);
  }
  // The byte that comes next; '\0': none, which is a failure.
  char peek() {
    if (at_ == text_.size()) fail(MatchKind::kPartial);
    return at_ == text_.size() ? '\0' : text_[at_];
  }
  bool byte(char c) {
    const char next = peek();
    if (next == c) ++at_;
    return next == c || (next != '\0' && fail(MatchKind::kNo));
  }
  bool name(std::string& out) {
    const size_t length = tool_name_length(rest());
    if (at_ + length == text_.size() && length <= kMaxToolNameBytes) {
      return fail(MatchKind::kPartial);
    }
    if (length == 0 || length > kMaxToolNameBytes) return fail(MatchKind::kNo);
    out = rest().substr(0, length);
    at_ += length;
    return true;
  }
  bool value(std::string_view& out) {
    const size_t length = json_value_length(rest());
    if (length == 0) return fail(MatchKind::kPartial);
    if (length == std::string_view::npos) return fail(MatchKind::kNo);
    out = rest().substr(0, length);
    out.remove_prefix(count_blanks(out));
    at_ += length;
    return true;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
  MatchKind failure_ = MatchKind::kNo;
};

// Reads {"name": N, "arguments": A} with its keys in any order.
class CallObject {
 public:
  CallObject(const CallDialect& dialect, Cursor& cursor, CallOpening& out)
      : dialect_(dialect), cursor_(cursor), out_(out) {}

  bool read() {
    if (!object()) return false;
    if (streamed_) return true;
    if (out_.name.empty()) return cursor_.fail(MatchKind::kNo);
    out_.whole = true;
    return true;
  }

 private:
  bool object() {
    cursor_.skip_blanks();
    if (!cursor_.byte('{')) return false;
    for (bool first = true;; first = false) {
      cursor_.skip_blanks();
      if (first && cursor_.peek() == '}') return cursor_.byte('}');
      if (!member()) return false;
      if (streamed_) return true;
      cursor_.skip_blanks();
      if (cursor_.peek() == ',') {
        if (!cursor_.byte(',')) return false;
        continue;
      }
      return cursor_.byte('}');
    }
  }

  bool member() {
    std::string_view key;
    if (cursor_.peek() != '"') return cursor_.peek() != '\0' && cursor_.fail(MatchKind::kNo);
    if (!cursor_.value(key)) return false;
    cursor_.skip_blanks();
    if (!cursor_.byte(':')) return false;
    cursor_.skip_blanks();
    if (cursor_.peek() == '\0') return false;
    path_.push_back(json_string_text(key));
    const bool read = value();
    path_.pop_back();
    return read;
  }

  bool value() {
    std::string_view text;
    if (path_ == dialect_.name_path) {
      if (cursor_.peek() != '"') return cursor_.fail(MatchKind::kNo);
      if (!cursor_.value(text)) return false;
      out_.name = json_string_text(text);
      return (!out_.name.empty() && out_.name.size() <= kMaxToolNameBytes) ||
             cursor_.fail(MatchKind::kNo);
    }
    if (path_ == dialect_.arguments_path) return arguments();
    if (begins_with(dialect_.name_path, path_) || begins_with(dialect_.arguments_path, path_)) {
      return object();
    }
    const char first = cursor_.peek();
    const bool known =
        std::ranges::find(dialect_.other_keys, path_.back()) != dialect_.other_keys.end();
    if (!known || first == '{' || first == '[') return cursor_.fail(MatchKind::kNo);
    return cursor_.value(text);
  }

  bool arguments() {
    const char first = cursor_.peek();
    if (first == '{' && !out_.name.empty()) {
      streamed_ = true;
      out_.nesting = static_cast<int>(path_.size());
      return true;
    }
    std::string_view text;
    if (!cursor_.value(text)) return false;
    if (first == '{') {
      out_.arguments = text;
    } else if (first == '"') {  // an object as text
      out_.arguments = json_string_text(text);
      const size_t length = json_value_length(out_.arguments);
      const bool object = length == out_.arguments.size() && length > 0;
      if (!object || out_.arguments[0] != '{') return cursor_.fail(MatchKind::kNo);
    } else if (text != "null") {
      return cursor_.fail(MatchKind::kNo);
    }
    return true;
  }

  const CallDialect& dialect_;
  Cursor& cursor_;
  CallOpening& out_;
  Path path_;
  bool streamed_ = false;
};

bool read_markers(const CallDialect& dialect, CallPlace place, Cursor& cursor, CallOpening& out) {
  if (place == CallPlace::kHeadOnly) return true;
  const bool list_begins = dialect.list && place == CallPlace::kFirst;
  if (place == CallPlace::kFirst && dialect.section_open.present()) {
    Cursor trial = cursor;
    out.in_section = trial.marker(dialect.section_open);
    if (out.in_section) {
      cursor = trial;
    } else if (trial.failure() == MatchKind::kPartial || !dialect.open.present()) {
      return cursor.fail(trial.failure());
    }
  }
  if (place == CallPlace::kNext) out.in_section = true;
  if (list_begins) {
    cursor.skip_blanks();
    if (!cursor.byte('[')) return false;
    out.in_section = true;
  }
  return !dialect.open.present() || cursor.marker(dialect.open);
}

// "name:0": the number of the call is no part of the name.
void drop_number(std::string& name) {
  const size_t colon = name.rfind(':');
  const bool number = colon != std::string::npos && colon > 0 && colon + 1 < name.size() &&
                      name.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  if (number) name.resize(colon);
}

// An id that the model wrote, which is not used; models also leave it out.
bool skip_id(const Marker& id_open, Cursor& cursor) {
  if (!id_open.present()) return true;
  Cursor trial = cursor;
  if (!trial.marker(id_open))
    return trial.failure() == MatchKind::kNo || cursor.fail(MatchKind::kPartial);
  std::string id;
  if (!trial.name(id)) return cursor.fail(trial.failure());
  cursor = trial;
  return true;
}

bool read_opening(const CallDialect& dialect, CallPlace place, Cursor& cursor, CallOpening& out) {
  if (!read_markers(dialect, place, cursor, out)) return false;
  if (dialect.style == CallStyle::kJsonObject) return CallObject(dialect, cursor, out).read();
  cursor.skip_blanks();
  if (!cursor.name(out.name)) return false;
  if (dialect.numbered) drop_number(out.name);
  if (!skip_id(dialect.id_open, cursor)) return false;
  if (dialect.name_end.present() && !cursor.marker(dialect.name_end)) return false;
  if (dialect.style == CallStyle::kTagged) return true;
  cursor.skip_blanks();
  if (cursor.peek() != '{') return cursor.peek() != '\0' && cursor.fail(MatchKind::kNo);
  return true;
}

}  // namespace

size_t tool_name_length(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && n <= kMaxToolNameBytes && is_name_byte(text[n])) ++n;
  return n;
}

CallOpening read_call_opening(const CallDialect& dialect,
                              std::string_view text,
                              CallPlace place,
                              bool end) {
  CallOpening opening;
  const bool cut = text.size() > kMaxCallOpeningBytes;
  Cursor cursor(text.substr(0, kMaxCallOpeningBytes));
  if (read_opening(dialect, place, cursor, opening)) {
    opening.kind = MatchKind::kFull;
    opening.length = cursor.at();
    if (opening.whole && opening.arguments.empty()) opening.arguments = "{}";
    return opening;
  }
  opening.kind = cursor.failure();
  if (opening.kind == MatchKind::kPartial && (end || cut)) opening.kind = MatchKind::kNo;
  return opening;
}

MarkerMatch match_object_tail(const CallDialect& dialect, std::string_view text, int nesting) {
  const bool cut = text.size() > kMaxTailBytes;
  Cursor cursor(text.substr(0, kMaxTailBytes));
  const auto read = [&]() -> bool {
    while (nesting > 0) {
      cursor.skip_blanks();
      if (cursor.peek() == '}') {
        cursor.byte('}');
        --nesting;
        continue;
      }
      std::string_view key;
      std::string_view value;
      if (!cursor.byte(',')) return false;
      cursor.skip_blanks();
      if (cursor.peek() != '"') return cursor.peek() != '\0' && cursor.fail(MatchKind::kNo);
      if (!cursor.value(key)) return false;
      cursor.skip_blanks();
      if (!cursor.byte(':')) return false;
      cursor.skip_blanks();
      const char first = cursor.peek();
      if (first == '\0') return false;
      const bool known =
          std::ranges::find(dialect.other_keys, json_string_text(key)) != dialect.other_keys.end();
      if (!known || first == '{' || first == '[') return cursor.fail(MatchKind::kNo);
      if (!cursor.value(value)) return false;
    }
    return true;
  };
  if (read()) return {MatchKind::kFull, cursor.at()};
  const bool grows = cursor.failure() == MatchKind::kPartial && !cut;
  return {grows ? MatchKind::kPartial : MatchKind::kNo, 0};
}

}  // namespace trireme

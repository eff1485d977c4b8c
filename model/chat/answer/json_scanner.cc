#include "model/chat/answer/json_scanner.h"

#include "base/json_value.h"
#include "model/chat/answer/marker_match.h"

namespace trireme {
namespace {

constexpr size_t kMaxDepth = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

JsonScanner::Result JsonScanner::feed(char c) {
  switch (state_) {
    case State::kValue:
      return is_blank(c) ? Result::kMore : begin_value(c);
    case State::kValueOrEnd:
      if (is_blank(c)) return Result::kMore;
      return c == ']' ? close(c) : begin_value(c);
    case State::kKey:
    case State::kKeyOrEnd:
      if (is_blank(c)) return Result::kMore;
      if (c == '}' && state_ == State::kKeyOrEnd) return close(c);
      if (c != '"') return Result::kBad;
      in_key_ = true;
      state_ = State::kString;
      return Result::kMore;
    case State::kColon:
      if (is_blank(c)) return Result::kMore;
      if (c != ':') return Result::kBad;
      state_ = State::kValue;
      return Result::kMore;
    case State::kCommaOrEnd:
      return after_value(c);
    case State::kString:
    case State::kEscape:
    case State::kHex:
      return string_byte(c);
    case State::kWord:
      return word_byte(c);
    default:
      return number_byte(c);
  }
}

JsonScanner::Result JsonScanner::feed(std::string_view text, size_t& used) {
  for (used = 0; used < text.size(); ++used) {
    const Result result = feed(text[used]);
    if (result == Result::kMore) continue;
    if (result == Result::kDone) ++used;
    return result;
  }
  return Result::kMore;
}

JsonScanner::Result JsonScanner::open(char c) {
  if (stack_.size() == kMaxDepth) return Result::kBad;
  stack_ += c;
  state_ = c == '{' ? State::kKeyOrEnd : State::kValueOrEnd;
  return Result::kMore;
}

JsonScanner::Result JsonScanner::begin_value(char c) {
  if (object_only_ && stack_.empty() && c != '{') return Result::kBad;
  if (c == '{' || c == '[') return open(c);
  if (c == '"') {
    in_key_ = false;
    state_ = State::kString;
  } else if (c == '-') {
    state_ = State::kMinus;
  } else if (is_digit(c)) {
    state_ = c == '0' ? State::kZero : State::kInteger;
  } else if (c == 't' || c == 'f' || c == 'n') {
    word_ = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
    state_ = State::kWord;
  } else {
    return Result::kBad;
  }
  return Result::kMore;
}

JsonScanner::Result JsonScanner::string_byte(char c) {
  if (state_ == State::kEscape) {
    if (c == 'u') {
      hex_digits_ = 0;
      state_ = State::kHex;
      return Result::kMore;
    }
    state_ = State::kString;
    return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos ? Result::kMore
                                                                            : Result::kBad;
  }
  if (state_ == State::kHex) {
    if (!is_hex(c)) return Result::kBad;
    if (++hex_digits_ == 4) state_ = State::kString;
    return Result::kMore;
  }
  if (static_cast<unsigned char>(c) < 0x20) return Result::kBad;
  if (c == '\\') {
    state_ = State::kEscape;
  } else if (c == '"') {
    if (!in_key_) return value_ended();
    state_ = State::kColon;
  }
  return Result::kMore;
}

JsonScanner::Result JsonScanner::number_byte(char c) {
  const auto go = [&](State state) {
    state_ = state;
    return Result::kMore;
  };
  const bool digit = is_digit(c);
  const bool exponent = c == 'e' || c == 'E';
  switch (state_) {
    case State::kMinus:
      return digit ? go(c == '0' ? State::kZero : State::kInteger) : Result::kBad;
    case State::kInteger:
      if (digit) return Result::kMore;
      [[fallthrough]];
    case State::kZero:
      if (c == '.') return go(State::kPoint);
      if (exponent) return go(State::kExponent);
      return after_value(c);
    case State::kPoint:
      return digit ? go(State::kFraction) : Result::kBad;
    case State::kFraction:
      if (digit) return Result::kMore;
      return exponent ? go(State::kExponent) : after_value(c);
    case State::kExponent:
      if (c == '+' || c == '-') return go(State::kExponentSign);
      [[fallthrough]];
    case State::kExponentSign:
      return digit ? go(State::kExponentDigits) : Result::kBad;
    default:
      return digit ? Result::kMore : after_value(c);
  }
}

JsonScanner::Result JsonScanner::word_byte(char c) {
  if (word_.empty()) return after_value(c);
  if (c != word_.front()) return Result::kBad;
  word_.remove_prefix(1);
  return Result::kMore;
}

JsonScanner::Result JsonScanner::after_value(char c) {
  if (stack_.empty()) return Result::kBad;
  state_ = State::kCommaOrEnd;
  if (is_blank(c)) return Result::kMore;
  if (c != ',') return close(c);
  state_ = stack_.back() == '{' ? State::kKey : State::kValue;
  return Result::kMore;
}

JsonScanner::Result JsonScanner::close(char c) {
  const char wanted = c == '}' ? '{' : c == ']' ? '[' : '\0';
  if (stack_.empty() || stack_.back() != wanted) return Result::kBad;
  stack_.pop_back();
  return value_ended();
}

JsonScanner::Result JsonScanner::value_ended() {
  state_ = State::kCommaOrEnd;
  return stack_.empty() ? Result::kDone : Result::kMore;
}

size_t json_value_length(std::string_view text) {
  const size_t blanks = count_blanks(text);
  if (blanks == text.size()) return 0;
  size_t used = 0;
  const char first = text[blanks];
  if (first == '{' || first == '[' || first == '"') {
    JsonScanner scanner;
    const JsonScanner::Result result = scanner.feed(text.substr(blanks), used);
    if (result == JsonScanner::Result::kMore) return 0;
    return result == JsonScanner::Result::kDone ? blanks + used : std::string_view::npos;
  }
  // A number or word: read as the element of an array, up to the byte that follows it.
  JsonScanner scanner;
  scanner.feed('[');
  size_t end = blanks;
  while (end < text.size() && !is_blank(text[end]) && text[end] != ',' && text[end] != '}' &&
         text[end] != ']') {
    if (scanner.feed(text[end]) == JsonScanner::Result::kBad) return std::string_view::npos;
    ++end;
  }
  if (end == text.size()) return 0;
  return end > blanks && scanner.feed(']') == JsonScanner::Result::kDone ? end
                                                                         : std::string_view::npos;
}

void append_json_escaped(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  append_json_escaped(text, out);
  out += '"';
}

std::string json_string_text(std::string_view json) {
  const auto value = JsonValue::parse(json, "TRI-CHAT-006", "a string", JsonNumbers::kPython);
  return value.ok() && value->is(JsonValue::Kind::kString) ? value->string() : std::string();
}

}  // namespace trireme

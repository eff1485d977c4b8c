#include "base/json_check.h"

#include <charconv>
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "base/utf8.h"

namespace trireme {
namespace {

constexpr int kMaxDepth = 64;

class Checker {
 public:
  Checker(std::string_view text,
          const char* id,
          std::string_view subject,
          JsonNumbers numbers,
          std::string_view remedy)
      : text_(text), id_(id), subject_(subject), numbers_(numbers), remedy_(remedy) {}

  Status run() {
    skip_space();
    RETURN_IF_ERROR(value(0));
    skip_space();
    if (at_ != text_.size()) return stop("text after the end of the document");
    return ok_status();
  }

 private:
  Status stop(std::string_view why) const {
    return invalid(
        id_, "{} is not JSON at byte {} of {}: {}; {}", subject_, at_, text_.size(), why, remedy_);
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  Status value(int depth) {
    if (depth > kMaxDepth) return stop(format_text("more than {} levels", kMaxDepth));
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  Status object(int depth) {
    ++at_;
    skip_space();
    if (peek() == '}') return ++at_, ok_status();
    while (true) {
      if (peek() != '"') return stop("expected a name in quotes");
      RETURN_IF_ERROR(string());
      skip_space();
      if (peek() != ':') return stop("expected ':'");
      ++at_;
      skip_space();
      RETURN_IF_ERROR(value(depth + 1));
      skip_space();
      if (peek() == '}') return ++at_, ok_status();
      if (peek() != ',') return stop("expected ',' or '}'");
      ++at_;
      skip_space();
    }
  }

  Status array(int depth) {
    ++at_;
    skip_space();
    if (peek() == ']') return ++at_, ok_status();
    while (true) {
      RETURN_IF_ERROR(value(depth + 1));
      skip_space();
      if (peek() == ']') return ++at_, ok_status();
      if (peek() != ',') return stop("expected ',' or ']'");
      ++at_;
      skip_space();
    }
  }

  Status word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return no_value("unknown word");
    at_ += wanted.size();
    return ok_status();
  }

  bool digits() {
    const size_t from = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > from;
  }

  // NaN, Infinity or -Infinity, where Python's numbers are taken.
  bool python_word() {
    if (numbers_ != JsonNumbers::kPython) return false;
    for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return true;
    }
    return false;
  }

  // NaN and Infinity, as Python's json writes them.
  Status no_value(std::string_view otherwise) const {
    for (const std::string_view word : {"NaN", "nan", "Infinity", "inf"}) {
      if (text_.substr(at_, word.size()) == word) {
        return stop(format_text("{} is not a JSON number", word));
      }
    }
    return stop(otherwise);
  }

  Status number() {
    if (python_word()) return ok_status();
    const size_t from = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else if (!digits()) {
      return no_value("expected a value");
    }
    if (peek() == '.' && (++at_, !digits())) return stop("expected a digit after '.'");
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return stop("expected a digit in the exponent");
    }
    if (numbers_ != JsonNumbers::kStandard) return ok_status();
    double parsed = 0;
    const auto result = std::from_chars(text_.data() + from, text_.data() + at_, parsed);
    if (result.ec != std::errc()) return stop("a number out of range");
    return ok_status();
  }

  Status string() {
    ++at_;
    while (at_ < text_.size()) {
      const unsigned char byte = text_[at_];
      if (byte == '"') return ++at_, ok_status();
      if (byte < 0x20) return stop("a control character in a string");
      if (byte == '\\') {
        RETURN_IF_ERROR(escape());
      } else if (byte < 0x80) {
        ++at_;
      } else {
        const Utf8Step step = utf8_step(text_.substr(at_));
        if (!step.valid) return stop("bytes that are not UTF-8");
        at_ += step.length;
      }
    }
    return stop("a string without an end");
  }

  Status escape() {
    ++at_;
    const char kind = peek();
    if (kind == 'u') {
      ++at_;
      int unit = 0;
      if (!hex4(unit)) return stop("expected four hexadecimal digits");
      if (numbers_ == JsonNumbers::kPython) return ok_status();
      if (unit >= 0xDC00 && unit <= 0xDFFF) return stop("half of a surrogate pair");
      if (unit < 0xD800 || unit > 0xDBFF) return ok_status();
      if (text_.substr(at_, 2) != "\\u") return stop("half of a surrogate pair");
      at_ += 2;
      if (!hex4(unit)) return stop("expected four hexadecimal digits");
      if (unit < 0xDC00 || unit > 0xDFFF) return stop("half of a surrogate pair");
      return ok_status();
    }
    if (kind == '\0' || std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
      return stop("an unknown escape");
    }
    ++at_;
    return ok_status();
  }

  bool hex4(int& unit) {
    if (text_.size() - at_ < 4) return false;
    const char* from = text_.data() + at_;
    if (*from == '-' || *from == '+') return false;
    const auto result = std::from_chars(from, from + 4, unit, 16);
    if (result.ptr != from + 4) return false;
    at_ += 4;
    return true;
  }

  const std::string_view text_;
  const char* const id_;
  const std::string_view subject_;
  const JsonNumbers numbers_;
  const std::string_view remedy_;
  size_t at_ = 0;
};

}  // namespace

Status check_json(std::string_view text,
                  const char* id,
                  std::string_view subject,
                  JsonNumbers numbers,
                  std::string_view remedy) {
  return Checker(text, id, subject, numbers, remedy).run();
}

}  // namespace trireme

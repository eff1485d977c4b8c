#include "model/tokenizer/regex_syntax.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cctype>
#include <vector>

#include "base/handle.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

// White_Space. It lacks U+180E, which \s of PCRE2 10.42 still matches.
constexpr std::string_view kSpace =
    "\\x09-\\x0D\\x20\\x85\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"
    "\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x00-\\x08\\x0E-\\x1F\\x21-\\x84\\x86-\\x9F\\xA1-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-"
    "\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{10FFFF}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kHexDigit = "0-9A-Fa-f";

constexpr size_t kMaxTranslatedBytes = 16384;

bool compiles(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const Handle<pcre2_code*, pcre2_code_free> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR8>(pattern.data()),
                    pattern.size(),
                    PCRE2_UTF | PCRE2_UCP,
                    &error,
                    &offset,
                    nullptr));
  return static_cast<bool>(code);
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  StatusOr<std::string> run() {
    while (at_ < pattern_.size()) {
      RETURN_IF_ERROR(step());
      if (out_.size() > kMaxTranslatedBytes) return refuse("more classes than fit");
    }
    return out_;
  }

 private:
  static constexpr size_t kNone = std::string::npos;

  Status refuse(std::string_view what) const {
    return invalid("TRI-TOK-010",
                   "pattern \"{}\" uses {} at byte {}, which is not supported",
                   pattern_.substr(0, 200),
                   what,
                   at_);
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  void copy(size_t count) {
    out_.append(pattern_.substr(at_, count));
    at_ += count;
  }

  Status step() {
    switch (peek()) {
      case '\\':
        atom_ = out_.size();
        return escape(false);
      case '[':
        atom_ = out_.size();
        return bracket();
      case '(':
        return open_group();
      case ')':
        if (groups_.empty()) return refuse("an unopened ')'");
        atom_ = groups_.back();
        groups_.pop_back();
        copy(1);
        return ok_status();
      case '{':
        return interval();
      case '*':
      case '+':
      case '?':
        copy(1);
        if (peek() == '?' || peek() == '+') copy(1);
        return ok_status();
      case '|':
      case '^':
      case '$':
        atom_ = kNone;
        copy(1);
        return ok_status();
      default:
        atom_ = out_.size();
        copy(1);
        while ((static_cast<uint8_t>(peek()) & 0xC0) == 0x80) copy(1);
        return ok_status();
    }
  }

  // At "(": the kinds of group that mean the same in both engines.
  Status open_group() {
    if (peek(1) == '*') return refuse("a verb");
    groups_.push_back(out_.size());
    const bool at_start = out_.empty() || out_.back() == '(' || out_.back() == ':';
    copy(1);
    if (peek() != '?') return ok_status();
    copy(1);
    const char kind = peek();
    if (kind == ':' || kind == '=' || kind == '!' || kind == '>' || kind == '<') {
      copy(1);
      return ok_status();
    }
    while (peek() == 'i' || peek() == 'm' || peek() == '-') {
      out_ += peek() == 'm' ? 's' : peek();  // in Ruby the flag m lets the dot match a newline
      ++at_;
    }
    if (peek() == ')' && !at_start) return refuse("an option in the middle of a group");
    if (peek() != ':' && peek() != ')') return refuse("a group of an unknown kind");
    if (peek() == ':') copy(1);
    return ok_status();
  }

  // At "{": an interval, or a literal brace. In Ruby syntax "{n,m}+" repeats the interval and is
  // not possessive, and "{n}?" makes it optional.
  Status interval() {
    size_t end = at_ + 1;
    size_t commas = 0;
    size_t digits = 0;
    for (; end < pattern_.size() && pattern_[end] != '}'; ++end) {
      if (pattern_[end] == ',') {
        ++commas;
      } else if (std::isdigit(static_cast<unsigned char>(pattern_[end]))) {
        ++digits;
      } else {
        break;
      }
    }
    const bool is_interval =
        end < pattern_.size() && pattern_[end] == '}' && digits > 0 && commas <= 1;
    if (!is_interval) {
      atom_ = out_.size();
      out_ += '\\';
      copy(1);
      return ok_status();
    }
    if (atom_ == kNone) return refuse("a repeat of nothing");
    const bool whole = peek(end + 1 - at_) == '+' || (peek(end + 1 - at_) == '?' && commas == 0);
    if (whole) out_.insert(atom_, "(?:");
    out_ += '{';
    ++at_;
    if (peek() == ',') out_ += '0';
    copy(end + 1 - at_);
    if (whole) {
      out_ += ')';
    } else if (peek() == '?') {
      copy(1);
    }
    return ok_status();
  }

  // At "\\", inside or outside of a class.
  Status escape(bool in_class) {
    const char kind = peek(1);
    const auto put = [&](std::string_view members, bool negated) {
      out_ += format_text("{}{}{}",
                          in_class  ? ""
                          : negated ? "[^"
                                    : "[",
                          members,
                          in_class ? "" : "]");
      at_ += 2;
      return ok_status();
    };
    switch (kind) {
      case 's':
        return put(kSpace, false);
      case 'S':
        return put(kNotSpace, false);
      case 'w':
        return put(kWord, false);
      case 'W':
        return in_class ? refuse("\\W in a class") : put(kWord, true);
      case 'h':
        return put(kHexDigit, false);
      case 'H':
        return in_class ? refuse("\\H in a class") : put(kHexDigit, true);
      case 'v':
        out_ += "\\x0B";
        at_ += 2;
        return ok_status();
      case 'p':
      case 'P':
        return property();
      case 'u':
        return code_unit();
      case '\0':
        return refuse("a backslash at its end");
      default:
        break;
    }
    const std::string_view known = in_class ? "tnrfaebdDx01234567" : "tnrfaedDxRXAzZbBGk0123456789";
    if (std::isalnum(static_cast<unsigned char>(kind)) && known.find(kind) == kNone) {
      return refuse(format_text("the escape \\{}", kind));
    }
    if (static_cast<uint8_t>(kind) >= 0x80) {
      at_ += 1;
      copy(utf8_step(pattern_.substr(at_)).length);
    } else {
      copy(2);
    }
    return ok_status();
  }

  // At "\\u": four hexadecimal digits.
  Status code_unit() {
    for (size_t i = 2; i < 6; ++i) {
      if (!std::isxdigit(static_cast<unsigned char>(peek(i)))) return refuse("a short \\u escape");
    }
    out_ += format_text("\\x{{{}}}", pattern_.substr(at_ + 2, 4));
    at_ += 6;
    return ok_status();
  }

  // At "\\p{": general categories mean the same. A bare script name means the script itself here,
  // and its extensions in PCRE2.
  Status property() {
    const size_t close = pattern_.find('}', at_);
    if (peek(2) != '{' || close == kNone) return refuse("a property without braces");
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    bool negated = peek(1) == 'P';
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    const bool script = name.size() > 2 && compiles(format_text("\\p{{sc:{}}}", name));
    out_ += format_text("{}{}{}}}", negated ? "\\P{" : "\\p{", script ? "sc:" : "", name);
    at_ = close + 1;
    return ok_status();
  }

  // At "[": a character class.
  Status bracket() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') return refuse("an empty class or a bare ']' in one");
    while (peek() != ']') {
      if (at_ >= pattern_.size()) return refuse("a class without an end");
      if (peek() == '\\') {
        RETURN_IF_ERROR(escape(true));
      } else if (peek() == '[' && peek(1) == ':') {
        const size_t close = pattern_.find(":]", at_);
        if (close == kNone) return refuse("a class name without an end");
        copy(close + 2 - at_);
      } else if (peek() == '[') {
        return refuse("a class within a class");
      } else if (peek() == '&' && peek(1) == '&') {
        return refuse("an intersection of classes");
      } else {
        copy(1);
      }
    }
    copy(1);
    return ok_status();
  }

  const std::string_view pattern_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = kNone;         // start of the last atom in out_
  std::vector<size_t> groups_;  // starts of the open groups in out_
};

}  // namespace

StatusOr<std::string> to_pcre2_syntax(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace trireme

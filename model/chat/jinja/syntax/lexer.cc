#include "model/chat/jinja/syntax/lexer.h"

#include <algorithm>

#include "base/utf8.h"
#include "model/chat/jinja/values/characters.h"

namespace trireme::jinja {

namespace {

constexpr size_t kNone = std::string_view::npos;

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }
bool is_word_char(char c) {
  return is_digit_char(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<LexedToken> run() {
    while (at_ < source_.size()) text();
    add(Token::kEnd, at_, {});
    return std::move(tokens_);
  }

 private:
  void add(Token kind, size_t offset, std::string_view text) {
    tokens_.push_back({kind, static_cast<uint32_t>(offset), text});
  }
  [[noreturn]] void fail_at(size_t offset, std::string message) const {
    fail_syntax(source_, static_cast<uint32_t>(offset), std::move(message));
  }
  bool has(size_t at, std::string_view word) const { return source_.substr(at).starts_with(word); }
  size_t skip_space(size_t at) const { return at + leading_space(source_.substr(at)); }

  // The end of "endraw", or "raw", with the white space around it; kNone if it is not there.
  size_t skip_word(size_t at, std::string_view word) const {
    at = skip_space(at);
    return has(at, word) ? skip_space(at + word.size()) : kNone;
  }

  // Data up to the next tag, and the tag.
  void text() {
    size_t tag = source_.find('{', at_);
    while (tag != kNone && !has(tag, "{%") && !has(tag, "{{") && !has(tag, "{#")) {
      tag = source_.find('{', tag + 1);
    }
    if (tag == kNone) {
      add(Token::kData, at_, source_.substr(at_));
      at_ = source_.size();
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const bool has_sign = sign == '-' || sign == '+';
    data(at_, tag, has_sign ? sign : '\0', kind == '{');
    at_ = tag + (has_sign ? 3 : 2);
    at_line_start_ = false;
    if (kind == '#') {
      comment(tag);
    } else if (kind == '{') {
      add(Token::kVariableBegin, tag, "{{");
      code(tag, false);
    } else if (!raw(tag)) {
      add(Token::kBlockBegin, tag, "{%");
      code(tag, true);
    }
  }

  // Data before a tag, without the white space that the tag takes away.
  void data(size_t begin, size_t end, char sign, bool before_variable) {
    std::string_view text = source_.substr(begin, end - begin);
    if (sign == '-') {
      text.remove_suffix(trailing_space(text));
    } else if (sign != '+' && !before_variable) {
      const size_t line = text.rfind('\n') + 1;  // 0 if there is no line end
      const bool starts_line = line > 0 || at_line_start_;
      if (starts_line && leading_space(text.substr(line)) == text.size() - line) {
        text = text.substr(0, line);
      }
    }
    if (!text.empty()) add(Token::kData, begin, text);
  }

  void comment(size_t tag) {
    const size_t end = source_.find("#}", at_);
    if (end == kNone) fail_at(tag, "Missing end of comment tag");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    close_tag(end + 2, sign, true);
  }

  // Behind the end of a tag: takes away white space or the line end after it.
  void close_tag(size_t at, char sign, bool trims_line) {
    if (sign == '-') {
      at = skip_space(at);
    } else if (sign != '+' && trims_line && at < source_.size() && source_[at] == '\n') {
      ++at;
    }
    at_line_start_ = at > 0 && source_[at - 1] == '\n';
    at_ = at;
  }

  // {% raw %} to {% endraw %}. False: the tag is another one.
  bool raw(size_t tag) {
    size_t at = skip_word(at_, "raw");
    if (at == kNone) return false;
    if (has(at, "-%}")) {
      at = skip_space(at + 3);
    } else if (has(at, "%}")) {
      at += 2;
    } else {
      return false;
    }
    at_line_start_ = source_[at - 1] == '\n';
    for (size_t end = source_.find("{%", at); end != kNone; end = source_.find("{%", end + 2)) {
      const char before = end + 2 < source_.size() ? source_[end + 2] : '\0';
      const bool has_sign = before == '-' || before == '+';
      size_t after = skip_word(end + (has_sign ? 3 : 2), "endraw");
      if (after == kNone) continue;
      const char sign = after < source_.size() ? source_[after] : '\0';
      if (sign == '-' || sign == '+') ++after;
      if (!has(after, "%}")) continue;
      data(at, end, has_sign ? before : '\0', false);
      close_tag(after + 2, sign, true);
      return true;
    }
    fail_at(tag, "Missing end of raw directive");
  }

  // The inside of {{ }} or {% %}.
  void code(size_t tag, bool is_block) {
    brackets_.clear();
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= source_.size()) return;  // the parser names the end that is missing
      if (brackets_.empty() && end_of_code(is_block)) return;
      const char c = source_[at_];
      if (is_digit_char(c)) {
        number();
      } else if (c == '"' || c == '\'') {
        string();
      } else if (is_word_char(c)) {
        word();
      } else {
        operator_sign();
      }
    }
    (void)tag;
  }

  bool end_of_code(bool is_block) {
    const std::string_view close = is_block ? "%}" : "}}";
    const char sign = source_[at_];
    const bool has_sign = sign == '-' || (is_block && sign == '+');
    if (!has(at_ + (has_sign ? 1 : 0), close)) return false;
    add(is_block ? Token::kBlockEnd : Token::kVariableEnd, at_, close);
    close_tag(at_ + (has_sign ? 3 : 2), has_sign ? sign : '\0', is_block);
    return true;
  }

  // The end of digits with single underscores between them.
  template <class IsDigit>
  size_t skip_digits(size_t at, const IsDigit& is_one) const {
    while (at < source_.size()) {
      const bool joined = source_[at] == '_' && at + 1 < source_.size() && is_one(source_[at + 1]);
      if (!is_one(source_[at]) && !joined) break;
      ++at;
    }
    return at;
  }

  void number() {
    const size_t begin = at_;
    if (size_t end = float_end(begin); end != kNone) {
      add(Token::kFloat, begin, source_.substr(begin, end - begin));
      at_ = end;
      return;
    }
    size_t end = begin + 1;
    const char mark = end < source_.size() ? static_cast<char>(source_[end] | 0x20) : '\0';
    const auto is_base_digit = [&](char c) {
      const char lower = static_cast<char>(c | 0x20);
      if (mark == 'x') return is_digit_char(c) || (lower >= 'a' && lower <= 'f');
      return c >= '0' && c <= (mark == 'b' ? '1' : '7');
    };
    const auto is_zero = [](char c) { return c == '0'; };
    if (source_[begin] != '0') {
      end = skip_digits(begin, is_digit_char);
    } else if ((mark == 'x' || mark == 'o' || mark == 'b') && begin + 2 < source_.size() &&
               skip_digits(begin + 2, is_base_digit) > begin + 2) {
      end = skip_digits(begin + 2, is_base_digit);
    } else {
      end = skip_digits(begin, is_zero);
    }
    add(Token::kInteger, begin, source_.substr(begin, end - begin));
    at_ = end;
  }

  // The end of a number with a fraction or an exponent, kNone if it is none.
  size_t float_end(size_t begin) const {
    if (begin > 0 && source_[begin - 1] == '.') return kNone;
    size_t end = skip_digits(begin, is_digit_char);
    const auto digit_at = [&](size_t at) {
      return at < source_.size() && is_digit_char(source_[at]);
    };
    bool is_float = false;
    if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
      end = skip_digits(end + 1, is_digit_char);
      is_float = true;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      size_t power = end + 1;
      if (power < source_.size() && (source_[power] == '+' || source_[power] == '-')) ++power;
      if (digit_at(power)) {
        end = skip_digits(power, is_digit_char);
        is_float = true;
      }
    }
    return is_float ? end : kNone;
  }

  void string() {
    const char quote = source_[at_];
    for (size_t at = at_ + 1; at < source_.size(); ++at) {
      if (source_[at] == '\\') {
        ++at;
      } else if (source_[at] == quote) {
        add(Token::kString, at_, source_.substr(at_, at + 1 - at_));
        at_ = at + 1;
        return;
      }
    }
    fail_char();
  }

  void word() {
    size_t end = at_;
    while (end < source_.size() && is_word_char(source_[end])) ++end;
    const std::string_view text = source_.substr(at_, end - at_);
    if (!is_identifier(text)) fail_at(at_, "Invalid character in identifier");
    add(Token::kName, at_, text);
    at_ = end;
  }

  [[noreturn]] void fail_char() const {
    const Character c = character_at(source_, at_);
    fail_at(at_,
            format_text("unexpected char '{}' at {}",
                        source_.substr(at_, c.length),
                        count_characters(source_.substr(0, at_))));
  }

  void operator_sign() {
    constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    size_t size = kOne.find(source_[at_]) != kNone ? 1 : 0;
    for (const std::string_view two : kTwo) {
      if (has(at_, two)) size = 2;
    }
    if (size == 0) fail_char();
    const std::string_view sign = source_.substr(at_, size);
    const char c = sign[0];
    if (c == '(' || c == '[' || c == '{') {
      brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) fail_at(at_, format_text("unexpected '{}'", c));
      if (brackets_.back() != c) {
        fail_at(at_, format_text("unexpected '{}', expected '{}'", c, brackets_.back()));
      }
      brackets_.pop_back();
    }
    add(Token::kOperator, at_, sign);
    at_ += size;
  }

  std::string_view source_;
  size_t at_ = 0;
  bool at_line_start_ = true;
  std::string brackets_;  // the closing ones that are due
  std::vector<LexedToken> tokens_;
};

// Reads `digits` hexadecimal digits at `at`. False: there are fewer.
bool read_hex(std::string_view text, size_t at, size_t digits, uint32_t& code) {
  if (at + digits > text.size()) return false;
  code = 0;
  for (size_t i = at; i < at + digits; ++i) {
    const char c = text[i];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit_char(c)) {
      code = code * 16 + static_cast<uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      code = code * 16 + static_cast<uint32_t>(lower - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string normalize_lines(std::string_view source) {
  std::string made;
  made.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      made += '\n';
    } else {
      made += source[i];
    }
  }
  if (!made.empty() && made.back() == '\n') made.pop_back();
  return made;
}

std::vector<LexedToken> tokenize(std::string_view source) { return Lexer(source).run(); }

std::string unescape(std::string_view literal, std::string_view source) {
  constexpr std::string_view kLetters = "abfnrtv\\'\"";
  constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
  std::string made;
  const auto append = [&](uint32_t code) {
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    append_utf8(surrogate ? char32_t{0xFFFD} : static_cast<char32_t>(code), made);
  };
  const auto fail_escape = [&](std::string_view words) {
    fail_syntax(source, static_cast<uint32_t>(literal.data() - source.data()), std::string(words));
  };
  for (size_t at = 0; at < literal.size();) {
    if (literal[at] != '\\' || at + 1 == literal.size()) {
      made += literal[at++];
      continue;
    }
    const char c = literal[at + 1];
    uint32_t code = 0;
    if (const size_t letter = kLetters.find(c); letter != kNone) {
      made += kValues[letter];
      at += 2;
    } else if (c == '\n') {
      at += 2;
    } else if (c >= '0' && c <= '7') {
      size_t end = at + 1;
      for (; end < at + 4 && end < literal.size() && literal[end] >= '0' && literal[end] <= '7';
           ++end) {
        code = code * 8 + static_cast<uint32_t>(literal[end] - '0');
      }
      append(code);
      at = end;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      if (!read_hex(literal, at + 2, digits, code)) {
        fail_escape(c == 'x' ? "truncated \\xXX escape" : "truncated \\uXXXX escape");
      }
      if (code > 0x10FFFF) fail_escape("illegal Unicode character");
      append(code);
      at += 2 + digits;
    } else if (c == 'N') {
      fail_escape("names of characters (\\N) are not supported");
    } else {
      made += literal[at++];
    }
  }
  return made;
}

void locate(std::string_view source, uint32_t offset, int& line, int& column) {
  const std::string_view before = source.substr(0, offset);
  line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  column = 1 + static_cast<int>(count_characters(before.substr(before.rfind('\n') + 1)));
}

void fail_syntax(std::string_view source,
                 uint32_t offset,
                 std::string message,
                 std::string_view type) {
  Failure failure;
  failure.error.type = type;
  failure.error.message = std::move(message);
  locate(source, offset, failure.error.line, failure.error.column);
  throw failure;
}

}  // namespace trireme::jinja

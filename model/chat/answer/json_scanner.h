// Checks the grammar of one JSON value byte by byte, without keeping it. One owner; pure.
#pragma once

#include <string>
#include <string_view>

namespace trireme {

class JsonScanner {
 public:
  enum class Result { kMore, kDone, kBad };

  explicit JsonScanner(bool object_only = false) : object_only_(object_only) {}

  // kDone: `c` is the last byte of the value (an array, object or string); the end of a number or
  // word is seen only inside of an array or object. kBad: `c` breaks the grammar.
  Result feed(char c);

  // Feeds `text` until the value ends or breaks; `used`: the bytes that belong to it.
  Result feed(std::string_view text, size_t& used);

 private:
  enum class State : unsigned char {
    kValue,
    kValueOrEnd,
    kKey,
    kKeyOrEnd,
    kColon,
    kCommaOrEnd,
    kString,
    kEscape,
    kHex,
    kMinus,
    kZero,
    kInteger,
    kPoint,
    kFraction,
    kExponent,
    kExponentSign,
    kExponentDigits,
    kWord,
  };

  Result begin_value(char c);
  Result string_byte(char c);
  Result number_byte(char c);
  Result word_byte(char c);
  Result after_value(char c);  // comma or end
  Result close(char c);
  Result value_ended();
  Result open(char c);

  bool object_only_;
  State state_ = State::kValue;
  bool in_key_ = false;
  int hex_digits_ = 0;
  std::string_view word_;  // the rest of true, false or null
  std::string stack_;      // '{' and '['
};

// The length of the JSON value at the begin of `text` (after blanks): 0 if it is incomplete,
// npos if it breaks the grammar. A number or word at the end of `text` is incomplete.
size_t json_value_length(std::string_view text);

// A JSON string, quoted and escaped; and the text of one (a valid JSON string).
void append_json_string(std::string_view text, std::string& out);
void append_json_escaped(std::string_view text, std::string& out);
std::string json_string_text(std::string_view json);

}  // namespace trireme

// Appends JSON to a text, value by value; commas are set where they belong. Pure: no memory beyond
// the text. The caller closes what it opens and writes a key before every value of an object.
// Invariant: every string is valid JSON in one line of UTF-8, whatever its bytes are.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace trireme::gateway {

// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. Control
// characters and U+0085, U+2028 and U+2029, at which some readers of event streams break lines, are
// escaped.
void append_json_string(std::string_view text, std::string& out);

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& open_object() { return open('{'); }
  JsonWriter& close_object() { return close('}'); }
  JsonWriter& open_array() { return open('['); }
  JsonWriter& close_array() { return close(']'); }

  // `name` needs no escapes.
  JsonWriter& key(std::string_view name) {
    separate();
    out_.append(1, '"').append(name).append("\":");
    needs_comma_ = false;
    return *this;
  }

  // A name of any bytes.
  JsonWriter& text_key(std::string_view name) {
    separate();
    append_json_string(name, out_);
    out_ += ':';
    needs_comma_ = false;
    return *this;
  }

  JsonWriter& string(std::string_view text) {
    separate();
    append_json_string(text, out_);
    return *this;
  }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& integer(std::integral auto value) { return raw(std::to_string(value)); }
  // The shortest text that reads back as the same float; JSON has no infinity: -9999 stands for it.
  JsonWriter& number(float value);
  // A value that is JSON already.
  JsonWriter& raw(std::string_view json) {
    separate();
    out_.append(json);
    return *this;
  }

  JsonWriter& member(std::string_view name, std::string_view text) {
    return key(name).string(text);
  }
  JsonWriter& member(std::string_view name, const char* text) { return key(name).string(text); }
  JsonWriter& member(std::string_view name, std::same_as<bool> auto value) {
    return key(name).boolean(value);
  }
  JsonWriter& member(std::string_view name,
                     std::integral auto value) requires(!std::same_as<decltype(value), bool>) {
    return key(name).integer(value);
  }
  // null where the text is empty.
  JsonWriter& text_or_null(std::string_view name, std::string_view text) {
    key(name);
    return text.empty() ? null() : string(text);
  }

 private:
  JsonWriter& open(char bracket) {
    separate();
    out_ += bracket;
    needs_comma_ = false;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_ += bracket;
    needs_comma_ = true;
    return *this;
  }
  void separate() {
    if (needs_comma_) out_ += ',';
    needs_comma_ = true;
  }

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace trireme::gateway

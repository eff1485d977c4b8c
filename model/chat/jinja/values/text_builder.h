// Texts with origins: cutting, joining and building them. A builder belongs to one render; it
// refuses more bytes than its limit and charges the render's steps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/chat/jinja/values/marked_text.h"
#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

class TextBuilder {
 public:
  explicit TextBuilder(Runtime& runtime, size_t max_bytes = kMaxJinjaValueBytes)
      : runtime_(runtime), max_bytes_(max_bytes) {}

  void append(std::string_view bytes, Origin origin) {
    if (bytes.empty()) return;
    charge(bytes.size());
    bytes_.append(bytes);
    mark(origin);
  }
  void append(const Text& text) { append(text, 0, text.size); }
  void append(const Text& text, size_t begin, size_t end);
  void append(char c, size_t count, Origin origin);
  // Bytes that the caller writes itself, all of one origin: `write(std::string& bytes)`.
  template <class Write>
  void write(Origin origin, const Write& write_to) {
    const size_t before = bytes_.size();
    write_to(bytes_);
    charge(bytes_.size() - before);
    if (bytes_.size() > before) mark(origin);
  }

  size_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }
  // The text as a value in the render's heap.
  Value value() const;
  Value markup_value() const;
  void take(MarkedText& out);

 private:
  void charge(size_t bytes) {
    runtime_.step_bytes(bytes);
    if (bytes_.size() + bytes > max_bytes_) fail_size();
  }
  [[noreturn]] void fail_size() const;
  // All bytes after the last run get `origin`.
  void mark(Origin origin) {
    if (!runs_.empty() && runs_.back().origin == origin) {
      runs_.back().end = static_cast<uint32_t>(bytes_.size());
    } else {
      runs_.push_back({static_cast<uint32_t>(bytes_.size()), origin});
    }
  }

  Runtime& runtime_;
  size_t max_bytes_;
  std::string bytes_;
  std::vector<Run> runs_;
};

// The bytes [begin, end) of a text, whose memory they share.
Value slice_text(Runtime& runtime, const Text& text, size_t begin, size_t end);
Value concatenate(Runtime& runtime, const Text& left, const Text& right);

size_t character_count(const Text& text);
inline bool one_byte_each(const Text& text) { return character_count(text) == text.size; }
// The first byte of the character of that index; its size for the index after the last.
size_t byte_of_character(const Text& text, size_t index);
Origin origin_at(const Text& text, size_t byte);
// The strictest of the bytes [begin, end).
Origin origin_of(const Text& text, size_t begin, size_t end);

// The first place of `needle` in `text` at or after `from`, npos if there is none; linear time.
size_t find_bytes(std::string_view text, std::string_view needle, size_t from);

}  // namespace trireme::jinja

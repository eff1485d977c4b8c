// Changes of whole texts that methods and filters share.
#include <algorithm>
#include <vector>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

// Whether the capital sigma at `at` ends a word: a cased letter before it and none after it.
bool is_final_sigma(std::string_view bytes, size_t at) {
  bool before = false;
  for (size_t i = at; i > 0;) {
    --i;
    while (i > 0 && (static_cast<uint8_t>(bytes[i]) & 0xC0) == 0x80) --i;
    const char32_t code = character_at(bytes, i).code;
    if (is_case_ignorable(code)) continue;
    before = is_cased(code);
    break;
  }
  if (!before) return false;
  for (size_t i = at + 2; i < bytes.size();) {
    const Character c = character_at(bytes, i);
    if (!is_case_ignorable(c.code)) return !is_cased(c.code);
    i += c.length;
  }
  return true;
}

Casing casing_of(CaseChange change, char32_t code, bool first, bool after_cased) {
  switch (change) {
    case CaseChange::kUpper:
      return Casing::kUpper;
    case CaseChange::kLower:
      return Casing::kLower;
    case CaseChange::kFold:
      return Casing::kFold;
    case CaseChange::kTitle:
      return after_cased ? Casing::kLower : Casing::kTitle;
    case CaseChange::kCapitalize:
      return first ? Casing::kTitle : Casing::kLower;
    case CaseChange::kSwap:
      return is_upper(code) ? Casing::kLower : Casing::kUpper;
  }
  return Casing::kLower;
}

std::vector<char32_t> character_set(const Value* characters) {
  std::vector<char32_t> set;
  const std::string_view bytes = text_of(*characters).view();
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    set.push_back(c.code);
    at += c.length;
  }
  std::sort(set.begin(), set.end());
  return set;
}

// The pieces of a text between separators, from the left or from the right.
class Splitter {
 public:
  Splitter(Runtime& runtime, const Text& text, int64_t most)
      : runtime_(runtime), text_(text), bytes_(text.view()), most_(most) {
    runtime.step_bytes(text.size);
    pieces_ = runtime.new_list(0);
  }

  List* at_space(bool from_end) {
    from_end ? space_from_end() : space_from_start();
    return pieces_;
  }

  List* at(const Text& separator, bool from_end) {
    if (separator.size == 0) fail("ValueError", "empty separator");
    if (!from_end) {
      size_t begin = 0;
      for (int64_t cuts = 0; most_ < 0 || cuts < most_; ++cuts) {
        const size_t found = find_bytes(bytes_, separator.view(), begin);
        if (found == std::string_view::npos) break;
        add(begin, found);
        begin = found + separator.size;
      }
      add(begin, bytes_.size());
      return pieces_;
    }
    size_t end = bytes_.size();
    for (int64_t cuts = 0; most_ < 0 || cuts < most_; ++cuts) {
      const size_t found = find_last(runtime_, bytes_.substr(0, end), separator.view());
      if (found == std::string_view::npos) break;
      add(found + separator.size, end);
      end = found;
    }
    add(0, end);
    std::reverse(pieces_->items, pieces_->items + pieces_->size);
    return pieces_;
  }

 private:
  void add(size_t begin, size_t end) {
    runtime_.step();
    runtime_.push(*pieces_, slice_text(runtime_, text_, begin, end));
  }

  size_t skip(size_t at, bool spaces) const {
    while (at < bytes_.size()) {
      const Character c = character_at(bytes_, at);
      if (is_space(c.code) != spaces) break;
      at += c.length;
    }
    return at;
  }

  void space_from_start() {
    size_t at = skip(0, true);
    for (int64_t cuts = 0; at < bytes_.size(); ++cuts) {
      if (most_ >= 0 && cuts == most_) {
        add(at, bytes_.size() - trailing_space(bytes_.substr(at)));
        return;
      }
      const size_t end = skip(at, false);
      add(at, end);
      at = skip(end, true);
    }
  }

  void space_from_end() {
    size_t end = bytes_.size() - trailing_space(bytes_);
    for (int64_t cuts = 0; end > 0; ++cuts) {
      if (most_ >= 0 && cuts == most_) {
        add(leading_space(bytes_.substr(0, end)), end);
        break;
      }
      size_t begin = end;
      while (begin > 0) {
        size_t before = begin - 1;
        while ((static_cast<uint8_t>(bytes_[before]) & 0xC0) == 0x80) --before;
        if (is_space(character_at(bytes_, before).code)) break;
        begin = before;
      }
      add(begin, end);
      end = begin - trailing_space(bytes_.substr(0, begin));
    }
    std::reverse(pieces_->items, pieces_->items + pieces_->size);
  }

  Runtime& runtime_;
  const Text& text_;
  std::string_view bytes_;
  int64_t most_;
  List* pieces_ = nullptr;
};

}  // namespace

size_t find_last(Runtime& runtime, std::string_view text, std::string_view needle) {
  if (needle.size() > text.size()) return std::string_view::npos;
  size_t end = text.size() - needle.size() + 1;  // places from here on are compared
  for (size_t block = 64; end > 0; block *= 2) {
    const size_t begin = end - std::min(block, end);
    runtime.step_bytes((end - begin) * std::max<size_t>(needle.size(), 1));
    const size_t found = text.substr(begin, end - begin + needle.size() - 1).rfind(needle);
    if (found != std::string_view::npos) return begin + found;
    end = begin;
  }
  return std::string_view::npos;
}

List* split_text(
    Runtime& runtime, const Text& text, const Text* separator, int64_t most, bool from_end) {
  Splitter splitter(runtime, text, most);
  return separator == nullptr ? splitter.at_space(from_end) : splitter.at(*separator, from_end);
}

Value change_case(Runtime& runtime, const Text& text, CaseChange change) {
  const std::string_view bytes = text.view();
  TextBuilder out(runtime);
  bool after_cased = false;
  std::string changed;
  size_t at = 0;
  size_t begin = 0;  // of the stretch of one origin
  uint32_t run = 0;
  while (at < bytes.size()) {
    const Character c = character_at(bytes, at);
    const Casing casing = casing_of(change, c.code, at == 0, after_cased);
    if (c.code < 0x80) {
      const bool letter = (c.code | 0x20) >= 'a' && (c.code | 0x20) <= 'z';
      const auto bit = static_cast<char32_t>(letter ? 0x20 : 0);
      const bool up = casing == Casing::kUpper || casing == Casing::kTitle;
      changed += static_cast<char>(up ? c.code & ~bit : c.code | bit);
      after_cased = letter;
    } else {
      const bool final_sigma = c.code == 0x3A3 && is_final_sigma(bytes, at);
      if (c.code == 0x3A3) runtime.step_bytes(text.size);
      append_cased(c.code, casing, final_sigma, changed);
      after_cased = is_cased(c.code);
    }
    at += c.length;
    if (run < text.num_runs && at >= text.runs[run].end) {
      out.append(changed, text.runs[run].origin);
      changed.clear();
      begin = at;
      ++run;
    }
  }
  if (begin < at) out.append(changed, text.origin);
  return text.markup ? out.markup_value() : out.value();
}

Value strip(Runtime& runtime, const Text& text, const Value* characters, Sides sides) {
  const bool left = (static_cast<int>(sides) & static_cast<int>(Sides::kLeft)) != 0;
  const bool right = (static_cast<int>(sides) & static_cast<int>(Sides::kRight)) != 0;
  const std::string_view bytes = text.view();
  size_t begin = 0;
  size_t end = bytes.size();
  if (characters == nullptr || characters->is(Kind::kNone)) {
    if (left) begin = leading_space(bytes);
    if (right) end -= trailing_space(bytes.substr(begin));
  } else {
    if (!is_string(*characters)) fail("TypeError", "strip arg must be None or str");
    const std::vector<char32_t> set = character_set(characters);
    runtime.step_bytes(text_of(*characters).size);
    const auto in_set = [&](char32_t code) {
      return std::binary_search(set.begin(), set.end(), code);
    };
    while (left && begin < end) {
      const Character c = character_at(bytes, begin);
      if (!in_set(c.code)) break;
      begin += c.length;
    }
    while (right && end > begin) {
      size_t last = end - 1;
      while ((static_cast<uint8_t>(bytes[last]) & 0xC0) == 0x80) --last;
      if (!in_set(character_at(bytes, last).code)) break;
      end = last;
    }
  }
  runtime.step_bytes(bytes.size() - (end - begin));
  return slice_text(runtime, text, begin, end);
}

Value replace(Runtime& runtime, const Text& text, const Text& old, const Text& with, int64_t most) {
  const std::string_view bytes = text.view();
  runtime.step_bytes(bytes.size());
  TextBuilder out(runtime);
  size_t at = 0;
  if (old.size == 0) {  // before every character and at the end
    for (; most != 0; --most) {
      out.append(with);
      if (at == bytes.size()) break;
      const size_t end = at + character_at(bytes, at).length;
      out.append(text, at, end);
      at = end;
      runtime.step();
    }
  } else {
    if (find_bytes(bytes, old.view(), 0) == std::string_view::npos) return JinjaAccess::text(&text);
    for (; most != 0; --most) {
      const size_t found = find_bytes(bytes, old.view(), at);
      if (found == std::string_view::npos) break;
      out.append(text, at, found);
      out.append(with);
      at = found + old.size;
      runtime.step();
    }
  }
  out.append(text, at, bytes.size());
  return text.markup ? out.markup_value() : out.value();
}

Value pad(Runtime& runtime, const Text& text, size_t left, size_t right, const Text& fill) {
  TextBuilder out(runtime);
  if (fill.size == 1) {
    out.append(fill.data[0], left, fill.origin);
  } else {
    for (size_t i = 0; i < left; ++i) out.append(fill);
  }
  out.append(text);
  if (fill.size == 1) {
    out.append(fill.data[0], right, fill.origin);
  } else {
    for (size_t i = 0; i < right; ++i) out.append(fill);
  }
  return out.value();
}

Value center(Runtime& runtime, const Text& text, int64_t width, const Text& fill) {
  const auto size = static_cast<int64_t>(character_count(text));
  if (width <= size) return JinjaAccess::text(&text);
  const int64_t space = width - size;
  const int64_t left = space / 2 + (space & width & 1);
  return pad(runtime, text, static_cast<size_t>(left), static_cast<size_t>(space - left), fill);
}

bool all_of_case(Runtime& runtime, const Text& text, bool (*is_case)(char32_t)) {
  const std::string_view bytes = text.view();
  runtime.step_bytes(bytes.size());
  bool any = false;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    if (is_case(c.code)) {
      any = true;
    } else if (is_cased(c.code)) {
      return false;
    }
    at += c.length;
  }
  return any;
}

List* split_lines(Runtime& runtime, const Text& text, bool keep_ends) {
  const std::string_view bytes = text.view();
  runtime.step_bytes(bytes.size());
  List* lines = runtime.new_list(0);
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    if (!is_line_break(c.code)) {
      at += c.length;
      continue;
    }
    size_t end = at + c.length;
    if (c.code == '\r' && end < bytes.size() && bytes[end] == '\n') ++end;
    runtime.step();
    runtime.push(*lines, slice_text(runtime, text, begin, keep_ends ? end : at));
    begin = at = end;
  }
  if (begin < bytes.size()) {
    runtime.push(*lines, slice_text(runtime, text, begin, bytes.size()));
  }
  return lines;
}

}  // namespace trireme::jinja

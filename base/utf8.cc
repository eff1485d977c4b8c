#include "base/utf8.h"

#include <algorithm>

namespace trireme {

namespace {

// The second bytes that may follow a lead byte (Unicode, table 3-7). They exclude overlong forms,
// surrogates and codes above U+10FFFF.
bool second_fits(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  const uint8_t lead = text[0];
  if (lead < 0x80) return {true, false, 1, lead};
  if (lead < 0xC2 || lead > 0xF4) return {false, false, 1, 0};
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = lead & (0xFF >> (length + 1));
  for (int i = 1; i < length; ++i) {
    if (static_cast<size_t>(i) == text.size()) return {false, true, static_cast<uint8_t>(i), 0};
    const uint8_t byte = text[i];
    const bool fits = i == 1 ? second_fits(lead, byte) : (byte & 0xC0) == 0x80;
    if (!fits) return {false, false, static_cast<uint8_t>(i), 0};
    code = code << 6 | (byte & 0x3F);
  }
  return {true, false, static_cast<uint8_t>(length), code};
}

void append_utf8(char32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool is_utf8(std::string_view text) { return !first_not_utf8(text); }

std::optional<size_t> first_not_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (!step.valid) return at;
    at += step.length;
  }
  return std::nullopt;
}

std::string to_utf8_lossy(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    out.append(step.valid ? text.substr(0, step.length) : kReplacementCharacter);
    text.remove_prefix(step.length);
  }
  return out;
}

static std::string escape(std::string_view text, bool controls) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    const auto first = static_cast<uint8_t>(text.front());
    const bool is_control = first < 0x20 || first == 0x7F;
    if (step.valid && !(controls && is_control)) {
      out += text.substr(0, step.length);
    } else {
      for (const char byte : text.substr(0, step.length)) {
        out += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
      }
    }
    text.remove_prefix(step.length);
  }
  return out;
}

std::string escape_not_utf8(std::string_view text) { return escape(text, /*controls=*/false); }

std::string escape_controls(std::string_view text) { return escape(text, /*controls=*/true); }

std::string_view utf8_head(std::string_view text, size_t max_bytes) {
  size_t end = std::min(max_bytes, text.size());
  while (end > 0 && end < text.size() && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

Status check_utf8(std::string_view text, std::string_view subject) {
  const auto at = first_not_utf8(text);
  if (!at) return ok_status();
  const bool is_utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  return invalid("TRI-RUN-040",
                 "{} is not UTF-8 at byte {}; convert it (iconv -f {} -t utf8)",
                 subject,
                 *at,
                 is_utf16 ? "utf16" : "latin1");
}

}  // namespace trireme

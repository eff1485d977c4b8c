#include "clients/gateway/api/json_writer.h"

#include <fmt/core.h>

#include <array>
#include <cmath>

#include "base/utf8.h"

namespace trireme::gateway {
namespace {

constexpr float kNoProbability = -9999;

// Bytes that stand for themselves in a JSON string.
constexpr std::array<bool, 256> plain_bytes() {
  std::array<bool, 256> plain{};
  for (int byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}
constexpr std::array<bool, 256> kIsPlain = plain_bytes();

void append_unit(uint32_t unit, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[(unit >> shift) & 15];
}

void append_ascii(char byte, std::string& out) {
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      append_unit(static_cast<unsigned char>(byte), out);
  }
}

bool breaks_lines(char32_t code) { return code == 0x85 || code == 0x2028 || code == 0x2029; }

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  size_t at = 0;
  while (at < text.size()) {
    const size_t from = at;
    while (at < text.size() && kIsPlain[static_cast<unsigned char>(text[at])]) ++at;
    out.append(text.substr(from, at - from));
    if (at == text.size()) break;
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      append_ascii(text[at++], out);
      continue;
    }
    const Utf8Step step = utf8_step(text.substr(at));
    if (!step.valid) {
      out.append(kReplacementCharacter);
    } else if (breaks_lines(step.code)) {
      append_unit(step.code, out);
    } else {
      out.append(text.substr(at, step.length));
    }
    at += step.length;
  }
  out += '"';
}

JsonWriter& JsonWriter::number(float value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", std::isfinite(value) ? value : kNoProbability);
  return *this;
}

}  // namespace trireme::gateway

#include "model/tokenizer/decoder.h"

#include <charconv>

#include "model/tokenizer/sequence_reader.h"

namespace trireme {
namespace {

constexpr size_t kMaxContentBytes = 16;
constexpr int64_t kMaxStrip = 1024;

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t at = 0;
  for (size_t hit = text.find(from); hit != std::string_view::npos; hit = text.find(from, at)) {
    out.append(text.substr(at, hit - at)).append(to);
    at = hit + from.size();
  }
  return out.append(text.substr(at));
}

// The byte of "<0xNN>", -1 for other pieces.
int fallback_byte(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int byte = -1;
  const auto result = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  return result.ptr == piece.data() + 5 && byte >= 0 ? byte : -1;
}

// Maps characters of the alphabet back to bytes. False for any other character; `out` is then
// unchanged.
bool append_mapped(std::string_view piece, const ByteAlphabet& alphabet, std::string& out) {
  const size_t before = out.size();
  while (!piece.empty()) {
    const Utf8Step step = utf8_step(piece);
    const int byte = alphabet.byte_of(step.code);
    if (byte < 0) return out.resize(before), false;
    out += static_cast<char>(byte);
    piece.remove_prefix(step.length);
  }
  return true;
}

}  // namespace

void Decoder::append_bytes(std::string_view piece, bool first, std::string& out) const {
  if (kind_ == Kind::kByteLevel) {
    if (!append_mapped(piece, alphabet_, out)) out.append(piece);
    return;
  }
  if (kind_ == Kind::kJoinBySpace) {
    if (!first) out += ' ';
    out.append(piece);
    return;
  }
  std::string changed;
  if (first && !dropped_in_first_.empty()) {
    changed = replace_all(piece, dropped_in_first_, "");
    piece = changed;
  }
  for (const auto& [from, to] : replacements_) {
    if (piece.find(from) == std::string_view::npos) continue;
    changed = replace_all(piece, from, to);
    piece = changed;
  }
  const int byte = byte_fallback_ ? fallback_byte(piece) : -1;
  if (byte >= 0) {
    out += static_cast<char>(byte);
  } else {
    out.append(piece);
  }
}

// Accepts steps in the order Replace or Metaspace, ByteFallback, Fuse, Strip; or ByteLevel alone.
class Decoder::Reader {
 public:
  explicit Reader(Decoder& out) : out_(out) {}

  Status read(const JsonFields& fields, const std::string& type) {
    if (type == "ByteLevel") {
      RETURN_IF_ERROR(enter(kAlone, type));
      out_.kind_ = Kind::kByteLevel;
      return ok_status();
    }
    if (type == "Replace") return read_replace(fields);
    if (type == "Metaspace") return read_metaspace(fields);
    if (type == "Strip") return read_strip(fields);
    if (type == "Fuse") return enter(kFuse, type);
    if (type == "ByteFallback") {
      out_.byte_fallback_ = true;
      return enter(kByteFallback, type);
    }
    return invalid("TRI-TOK-012",
                   "decoder \"{}\" is not supported; supported are ByteLevel, Metaspace, and a "
                   "Sequence of Replace, ByteFallback, Fuse, Strip",
                   type.substr(0, 80));
  }

 private:
  enum Phase { kStart, kReplace, kByteFallback, kFuse, kStrip, kAlone };

  Status enter(Phase phase, std::string_view type) {
    const bool repeats = phase == kReplace || phase == kFuse;
    const bool fits = phase == kAlone ? phase_ == kStart || phase_ == kFuse
                                      : phase > phase_ || (repeats && phase == phase_);
    if (!fits) {
      return invalid("TRI-TOK-012",
                     "decoder step {} stands out of order; supported is Replace or Metaspace, "
                     "ByteFallback, Fuse, Strip, or ByteLevel alone",
                     type);
    }
    phase_ = phase;
    return ok_status();
  }

  StatusOr<std::string> content(const JsonFields& fields, std::string_view name) {
    ASSIGN_OR_RETURN(std::string text, fields.string(name));
    if (text.size() <= kMaxContentBytes) return text;
    return invalid("TRI-TOK-012",
                   "{}.{} has {} bytes; at most {} are supported",
                   fields.where(),
                   name,
                   text.size(),
                   kMaxContentBytes);
  }

  Status read_replace(const JsonFields& fields) {
    RETURN_IF_ERROR(enter(kReplace, "Replace"));
    ASSIGN_OR_RETURN(const JsonValue field, fields.at("pattern"));
    ASSIGN_OR_RETURN(const JsonFields pattern, JsonFields::read(field, "decoder.pattern"));
    if (pattern.find("Regex")) {
      return invalid("TRI-TOK-012", "a decoder's Replace has a Regex; supported is a String");
    }
    ASSIGN_OR_RETURN(std::string from, content(pattern, "String"));
    ASSIGN_OR_RETURN(std::string to, content(fields, "content"));
    if (!from.empty()) out_.replacements_.emplace_back(std::move(from), std::move(to));
    return ok_status();
  }

  Status read_metaspace(const JsonFields& fields) {
    RETURN_IF_ERROR(enter(kReplace, "Metaspace"));
    ASSIGN_OR_RETURN(const std::string mark, content(fields, "replacement"));
    ASSIGN_OR_RETURN(const bool prefix, fields.boolean_or("add_prefix_space", true));
    ASSIGN_OR_RETURN(const std::string scheme,
                     fields.string_or("prepend_scheme", prefix ? "always" : "never"));
    if (mark.empty() || !out_.replacements_.empty()) {
      return invalid("TRI-TOK-012", "a Metaspace decoder needs a mark and must stand first");
    }
    if (scheme != "never") out_.dropped_in_first_ = mark;
    out_.replacements_.emplace_back(mark, " ");
    return ok_status();
  }

  Status read_strip(const JsonFields& fields) {
    const bool fused = phase_ == kFuse;
    RETURN_IF_ERROR(enter(kStrip, "Strip"));
    ASSIGN_OR_RETURN(const std::string character, content(fields, "content"));
    ASSIGN_OR_RETURN(const int64_t start, fields.integer("start"));
    ASSIGN_OR_RETURN(const int64_t stop, fields.integer("stop"));
    if (!fused || stop != 0 || start < 0 || start > kMaxStrip || character.empty() ||
        utf8_step(character).length != character.size()) {
      return invalid("TRI-TOK-012",
                     "decoder step Strip has content \"{}\", start {}, stop {}; supported is one "
                     "character, after Fuse, start 0..{}, stop 0",
                     character,
                     start,
                     stop,
                     kMaxStrip);
    }
    out_.strip_start_ = static_cast<int>(start);
    out_.strip_character_ = utf8_step(character).code;
    return ok_status();
  }

  Decoder& out_;
  Phase phase_ = kStart;
};

StatusOr<Decoder> Decoder::read(JsonValue value) {
  Decoder decoder;
  decoder.kind_ = Kind::kPieces;  // until a step is ByteLevel
  Reader reader(decoder);
  RETURN_IF_ERROR(each_step(value,
                            {"decoder", "decoders", "TRI-TOK-012"},
                            [&](const JsonFields& fields, const std::string& type) {
                              return reader.read(fields, type);
                            }));
  return decoder;
}

}  // namespace trireme

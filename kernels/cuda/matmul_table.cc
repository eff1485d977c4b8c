#include "kernels/cuda/matmul_table.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <optional>
#include <sstream>

#include "base/text.h"

namespace trireme::cuda {

namespace {

constexpr const char* kTitle = "trireme matmul table 3";
constexpr const char* kEnd = "end";

MatmulShape bucketed(MatmulShape shape) {
  shape.rows = bucket_of_rows(shape.rows);
  return shape;
}

std::string line_of(const MatmulShape& shape, const MatmulChoice& choice) {
  char text[320];
  int size = std::snprintf(text,
                           sizeof text,
                           "%d %d %d %d %.9g %.9g",
                           shape.rows,
                           shape.n,
                           shape.k,
                           static_cast<int>(shape.out),
                           static_cast<double>(choice.time_us),
                           static_cast<double>(choice.own_time_us));
  for (const uint64_t word : choice.algorithm) {
    size += std::snprintf(
        text + size, sizeof text - size, " %016llx", static_cast<unsigned long long>(word));
  }
  return text;
}

// The last line: a digest of everything before it (FNV-1a, 64 bits), which detects damage anywhere.
std::string end_line(std::string_view before) {
  uint64_t digest = 0xcbf29ce484222325;
  for (const char c : before) {
    digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%s %016llx", kEnd, static_cast<unsigned long long>(digest));
  return text;
}

struct Entry {
  MatmulShape shape;
  MatmulChoice choice;
};

std::optional<uint64_t> hex_word(const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (text.size() != 16 || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<Entry> parse_line(const std::string& line) {
  std::istringstream in(line);
  Entry entry;
  int out = 0;
  MatmulShape& shape = entry.shape;
  MatmulChoice& choice = entry.choice;
  in >> shape.rows >> shape.n >> shape.k >> out >> choice.time_us >> choice.own_time_us;
  if (!in || shape.rows < 1 || shape.n < 1 || shape.k < 1) return std::nullopt;
  if (out < 0 || out > static_cast<int>(MatmulOut::kStaged)) return std::nullopt;
  if (!(choice.time_us >= 0 && choice.time_us < choice.own_time_us)) return std::nullopt;
  shape.out = static_cast<MatmulOut>(out);
  std::string word;
  for (uint64_t& value : choice.algorithm) {
    if (!(in >> word)) return std::nullopt;
    const auto parsed = hex_word(word);
    if (!parsed) return std::nullopt;
    value = *parsed;
  }
  if (in >> word) return std::nullopt;
  return entry;
}

}  // namespace

int32_t bucket_of_rows(int32_t rows) {
  for (const int32_t bucket : {1, 2, 4, 8, 16, 24, 32, 48, 64}) {
    if (rows <= bucket) return bucket;
  }
  const int64_t unit = rows <= 512 ? 32 : 512;
  return static_cast<int32_t>((rows + unit - 1) / unit * unit);
}

void MatmulTable::note(const MatmulShape& shape, const MatmulChoice& choice) {
  const bool is_faster = choice.time_us > 0 && choice.time_us < choice.own_time_us;
  MatmulChoice own;
  own.own_time_us = choice.own_time_us;
  choices_[bucketed(shape)] = is_faster ? choice : own;
}

bool MatmulTable::knows(const MatmulShape& shape) const {
  return choices_.contains(bucketed(shape));
}

const MatmulChoice* MatmulTable::entry(const MatmulShape& shape) const {
  const auto serves = [&](const auto& entry) {
    const MatmulShape& timed = entry.first;
    return timed.n == shape.n && timed.k == shape.k && timed.out == shape.out;
  };
  auto found = choices_.lower_bound({bucket_of_rows(shape.rows), 0, 0, MatmulOut::kActivation});
  found = std::find_if(found, choices_.end(), serves);  // rows ascend
  return found == choices_.end() ? nullptr : &found->second;
}

const MatmulChoice* MatmulTable::find(const MatmulShape& shape) const {
  const MatmulChoice* const found = entry(shape);
  return found == nullptr || found->time_us == 0 ? nullptr : found;
}

std::string MatmulTable::save() const {
  std::string text = std::string(kTitle) + "\n" + key_ + "\n";
  for (const auto& [shape, choice] : choices_) text += line_of(shape, choice) + "\n";
  return text + end_line(text) + "\n";
}

bool MatmulTable::load(std::string_view bytes) {
  choices_.clear();
  std::istringstream in{std::string(bytes)};
  std::string line;
  if (!std::getline(in, line) || line != kTitle) return false;
  if (!std::getline(in, line) || line != key_) return false;
  std::map<MatmulShape, MatmulChoice> loaded;
  while (std::getline(in, line) && !line.starts_with(kEnd)) {
    const auto entry = parse_line(line);
    if (!entry) return false;
    loaded[bucketed(entry->shape)] = entry->choice;
  }
  const size_t end = bytes.find(format_text("\n{}", kEnd));
  if (end == std::string_view::npos || line != end_line(bytes.substr(0, end + 1))) return false;
  choices_ = std::move(loaded);
  return true;
}

std::string MatmulTable::file_name() const {
  std::string name = "matmul-";
  for (const char c : key_) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + ".txt";
}

}  // namespace trireme::cuda

#include "model/chat/jinja/values/text_builder.h"

#include <algorithm>
#include <cstring>

#include "model/chat/jinja/values/characters.h"
#include "model/chat/jinja/values/format.h"

namespace trireme::jinja {

namespace {

// The first run that ends after `byte`.
const Run* run_of(const Text& text, size_t byte) {
  return std::upper_bound(
      text.runs, text.runs + text.num_runs, byte, [](size_t at, const Run& run) {
        return at < run.end;
      });
}

Origin strictest(const Run* runs, size_t count) {
  Origin origin = Origin::kTemplate;
  for (size_t i = 0; i < count; ++i) origin = stricter(origin, runs[i].origin);
  return origin;
}

// Appends the runs of [begin, end) of `text`, which lie at `shift` bytes before `begin`, to
// `runs`, whose last run is joined with one of the same origin. Returns the new number of runs.
uint32_t append_runs(const Text& text, size_t begin, size_t end, size_t at, Run* runs, uint32_t n) {
  const auto add = [&](size_t run_end, Origin origin) {
    if (n > 0 && runs[n - 1].origin == origin) {
      runs[n - 1].end = static_cast<uint32_t>(run_end);
    } else {
      runs[n++] = {static_cast<uint32_t>(run_end), origin};
    }
  };
  if (begin == end) return n;
  if (text.num_runs == 0) {
    add(at + (end - begin), text.origin);
    return n;
  }
  for (const Run* run = run_of(text, begin); begin < end; ++run) {
    const size_t run_end = std::min<size_t>(run->end, end);
    at += run_end - begin;
    add(at, run->origin);
    begin = run_end;
  }
  return n;
}

// Gives a text its runs; a single one becomes its origin.
void set_runs(Text& text, const Run* runs, uint32_t count) {
  if (count == 1) {
    text.origin = runs[0].origin;
  } else if (count > 1) {
    text.runs = runs;
    text.num_runs = count;
    text.origin = strictest(runs, count);
  }
}

constexpr uint32_t kMinGrowthBytes = 512;  // shorter texts are copied

// Memory for `left` followed by `extra` bytes: behind `left` itself if it is the last in its
// memory, so that a text built in a loop is not copied in every turn.
char* extend(Runtime& runtime, const Text& left, uint32_t extra, Text& made) {
  Growth* growth = left.growth;
  if (growth != nullptr && left.data + left.size == growth->data + growth->used &&
      growth->capacity - growth->used >= extra) {
    runtime.reserve(extra);
    growth->used += extra;
    made.data = left.data;
    made.growth = growth;
    return growth->data + growth->used - extra;
  }
  const size_t size = size_t{left.size} + extra;
  const size_t room = size < kMinGrowthBytes ? size : size + size / 2;
  runtime.reserve(room);
  char* data = static_cast<char*>(runtime.heap().allocate(room));
  if (left.size > 0) std::memcpy(data, left.data, left.size);
  made.data = data;
  if (room > size) {
    made.growth = runtime.heap().make<Growth>();
    *made.growth = {data, static_cast<uint32_t>(size), static_cast<uint32_t>(room)};
  }
  return data + left.size;
}

}  // namespace

void TextBuilder::append(const Text& text, size_t begin, size_t end) {
  if (begin >= end) return;
  if (text.num_runs == 0) return append(text.view().substr(begin, end - begin), text.origin);
  for (const Run* run = run_of(text, begin); begin < end; ++run) {
    const size_t run_end = std::min<size_t>(run->end, end);
    append(text.view().substr(begin, run_end - begin), run->origin);
    begin = run_end;
  }
}

void TextBuilder::append(char c, size_t count, Origin origin) {
  if (count == 0) return;
  charge(count);
  bytes_.append(count, c);
  mark(origin);
}

void TextBuilder::fail_size() const {
  fail_limit(
      format_text("a text is longer than {}", format_bytes(static_cast<double>(max_bytes_))));
}

Value TextBuilder::markup_value() const { return with_markup(runtime_, value()); }

Value TextBuilder::value() const {
  runtime_.reserve(bytes_.size() + sizeof(Text) + runs_.size() * sizeof(Run));
  Text* text = copy_text(runtime_.heap(), bytes_, Origin::kTemplate);
  if (runs_.size() > 1) {
    Run* runs = runtime_.heap().make_array<Run>(runs_.size());
    std::copy(runs_.begin(), runs_.end(), runs);
    set_runs(*text, runs, static_cast<uint32_t>(runs_.size()));
  } else {
    set_runs(*text, runs_.data(), static_cast<uint32_t>(runs_.size()));
  }
  return JinjaAccess::text(text);
}

void TextBuilder::take(MarkedText& out) {
  size_t begin = 0;
  for (const Run& run : runs_) {
    if (run.origin != Origin::kTemplate) out.origins.push_back({begin, run.end, run.origin});
    begin = run.end;
  }
  out.text = std::move(bytes_);
}

Value slice_text(Runtime& runtime, const Text& text, size_t begin, size_t end) {
  if (begin == 0 && end == text.size) return JinjaAccess::text(&text);
  if (begin > end) begin = end;
  runtime.reserve(sizeof(Text));
  Text* made = view_text(runtime.heap(), text.view().substr(begin, end - begin), text.origin);
  made->markup = text.markup;
  if (text.num_runs > 0 && begin < end) {
    const auto most = static_cast<size_t>(run_of(text, end - 1) - run_of(text, begin)) + 1;
    runtime.reserve(most * sizeof(Run));
    Run* runs = runtime.heap().make_array<Run>(most);
    set_runs(*made, runs, append_runs(text, begin, end, 0, runs, 0));
  }
  return JinjaAccess::text(made);
}

Value concatenate(Runtime& runtime, const Text& left, const Text& right) {
  if (right.size == 0) return JinjaAccess::text(&left);
  if (left.size == 0) return JinjaAccess::text(&right);
  if (size_t{left.size} + right.size > kMaxJinjaValueBytes) runtime.reserve(kMaxJinjaValueBytes);
  runtime.reserve(sizeof(Text));
  Text* made = runtime.heap().make<Text>();
  char* behind = extend(runtime, left, right.size, *made);
  std::memcpy(behind, right.data, right.size);
  made->size = left.size + right.size;
  made->origin = left.origin;
  if (left.characters != kUnknown && right.characters != kUnknown) {
    made->characters = left.characters + right.characters;
  }
  if (left.num_runs > 0 || right.num_runs > 0 || left.origin != right.origin) {
    const size_t most = size_t{left.num_runs} + right.num_runs + 2;
    runtime.reserve(most * sizeof(Run));
    Run* runs = runtime.heap().make_array<Run>(most);
    uint32_t count = append_runs(left, 0, left.size, 0, runs, 0);
    count = append_runs(right, 0, right.size, left.size, runs, count);
    set_runs(*made, runs, count);
  }
  return JinjaAccess::text(made);
}

size_t character_count(const Text& text) {
  if (text.characters == kUnknown) {
    text.characters = static_cast<uint32_t>(count_characters(text.view()));
  }
  return text.characters;
}

size_t byte_of_character(const Text& text, size_t index) {
  if (one_byte_each(text)) return index;
  size_t at = 0;
  while (index > 0 && at < text.size) {
    at += character_at(text.view(), at).length;
    --index;
  }
  return at;
}

Origin origin_at(const Text& text, size_t byte) {
  return text.num_runs == 0 ? text.origin : run_of(text, byte)->origin;
}

Origin origin_of(const Text& text, size_t begin, size_t end) {
  if (text.num_runs == 0 || begin >= end) return text.origin;
  const Run* first = run_of(text, begin);
  return strictest(first, static_cast<size_t>(run_of(text, end - 1) - first) + 1);
}

size_t find_bytes(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace trireme::jinja

#include "model/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/handle.h"
#include "model/tokenizer/regex_syntax.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

// Published patterns need fewer than 100 steps per match on prose; the limit stops exponential
// ones.
constexpr uint32_t kMatchLimit = 2'000'000;
constexpr size_t kJitStackStart = 32 * 1024;
constexpr size_t kJitStackLimit = 1024 * 1024;
constexpr uint32_t kHeapLimitKib = 16 * 1024;  // per match, without JIT

using CodeHandle = Handle<pcre2_code*, pcre2_code_free>;
using MatchData = Handle<pcre2_match_data*, pcre2_match_data_free>;
using MatchContext = Handle<pcre2_match_context*, pcre2_match_context_free>;
using CompileContext = Handle<pcre2_compile_context*, pcre2_compile_context_free>;
using JitStack = Handle<pcre2_jit_stack*, pcre2_jit_stack_free>;

std::string message_of_code(int code) {
  PCRE2_UCHAR8 buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof buffer) < 0) return format_text("code {}", code);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct Regex::Code {
  CodeHandle handle;
};

struct RegexScratch::State {
  MatchData data{pcre2_match_data_create(1, nullptr)};
  MatchContext context{pcre2_match_context_create(nullptr)};
  JitStack stack{pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr)};
};

RegexScratch::RegexScratch() = default;
RegexScratch::~RegexScratch() = default;

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::~Regex() = default;

StatusOr<std::unique_ptr<const Regex>> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return invalid("TRI-TOK-010",
                   "a pattern has {} bytes; at most {} are supported",
                   pattern.size(),
                   kMaxPatternBytes);
  }
  ASSIGN_OR_RETURN(const std::string translated, to_pcre2_syntax(pattern));
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_parens_nest_limit(context.get(), 64);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_unique<Code>();
  // MULTILINE: in Ruby syntax ^ and $ always match at line ends.
  code->handle =
      CodeHandle(pcre2_compile(reinterpret_cast<PCRE2_SPTR8>(translated.data()),
                               translated.size(),
                               PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                               &error,
                               &offset,
                               context.get()));
  if (!code->handle) {
    return invalid("TRI-TOK-010",
                   "pattern \"{}\" does not compile: {} (byte {} of \"{}\")",
                   pattern.substr(0, 200),
                   message_of_code(error),
                   offset,
                   translated.substr(0, 400));
  }
  // Without a JIT for this machine PCRE2 interprets the same code.
  pcre2_jit_compile(code->handle.get(), PCRE2_JIT_COMPLETE);
  return std::unique_ptr<const Regex>(new Regex(std::move(code)));
}

Status Regex::find_all(std::string_view text,
                       RegexScratch& scratch,
                       std::vector<Match>& out) const {
  if (!scratch.state_) {
    scratch.state_ = std::make_unique<RegexScratch::State>();
    pcre2_match_context* context = scratch.state_->context.get();
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
    if (scratch.state_->stack) {
      pcre2_jit_stack_assign(context, nullptr, scratch.state_->stack.get());
    }
  }
  pcre2_match_data* data = scratch.state_->data.get();
  size_t from = 0;
  size_t last_end = SIZE_MAX;
  while (from <= text.size()) {
    const int count = pcre2_match(code_->handle.get(),
                                  reinterpret_cast<PCRE2_SPTR8>(text.data()),
                                  text.size(),
                                  from,
                                  PCRE2_NO_UTF_CHECK,
                                  data,
                                  scratch.state_->context.get());
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) {
      return invalid(
          "TRI-TOK-014",
          "the tokenizer's pattern fails on this text at byte {} of {}: {}; shorten the text there",
          from,
          text.size(),
          message_of_code(count));
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data);
    const size_t begin = bounds[0];
    const size_t end = bounds[1];
    if (begin > end || end < from) {
      return invalid("TRI-TOK-014",
                     "the tokenizer's pattern matches backwards at byte {} (\\K in a look-around); "
                     "the pattern cannot be used",
                     from);
    }
    if (begin == end && end == last_end) {
      from = end + (end < text.size() ? utf8_step(text.substr(end)).length : 1);
      continue;
    }
    out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    from = last_end = end;
  }
  return ok_status();
}

}  // namespace trireme

// Cuts the source of a template into tokens, as Jinja does with trim_blocks and lstrip_blocks: the
// first line end after a block tag goes, and so does white space before one on its line. A pure
// function of the source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/jinja/values/runtime.h"

namespace trireme::jinja {

enum class Token : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct LexedToken {
  Token kind = Token::kEnd;
  uint32_t offset = 0;    // of its first byte in the source
  std::string_view text;  // of data, a name, an operator, or a literal as it is written
};

// The source with "\n" for every line end and without the last one.
std::string normalize_lines(std::string_view source);

// `source` is normalized and outlives the tokens, which end with kEnd. Throws Failure.
std::vector<LexedToken> tokenize(std::string_view source);

// The value of a literal without its quotes.
std::string unescape(std::string_view literal, std::string_view source);

[[noreturn]] void fail_syntax(std::string_view source,
                              uint32_t offset,
                              std::string message,
                              std::string_view type = "TemplateSyntaxError");
// Line and column, from 1, of a byte of the source.
void locate(std::string_view source, uint32_t offset, int& line, int& column);

}  // namespace trireme::jinja

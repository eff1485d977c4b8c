#include "tests/chat/answer_mutation.h"

#include <gtest/gtest.h>

#include <random>

#include "model/chat/dialect/dialect_check.h"
#include "tests/chat/answer_dialects.h"
#include "tests/chat/answer_pieces.h"
#include "tests/chat/derived_dialects.h"

namespace trireme {
namespace {

// Pieces that break or begin something in some dialect.
const char* const kWords[] = {"\"",
                              "{",
                              "}",
                              "[",
                              "]",
                              ",",
                              ":",
                              "\\",
                              "\n",
                              " ",
                              "<",
                              ">",
                              "null",
                              "<think>",
                              "</think>",
                              "<call>",
                              "</call>",
                              "[CALLS]",
                              "<function=",
                              "<parameter=",
                              "</parameter>",
                              "<|channel|>",
                              "<|message|>",
                              "<|end|>",
                              "to=functions.f",
                              "\xC3\xA9",
                              "\xF0\x9F\x99\x82",
                              "1e5"};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::mt19937_64& random() { return random_; }
  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string mutate(std::string text, const std::string& other) {
    const size_t changes = 1 + below(4);
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = character_at(text, below(text.size() + 1));
      const size_t end = character_at(text, std::min(text.size(), at + below(16)));
      switch (below(6)) {
        case 0:
          text.insert(at, kWords[below(std::size(kWords))]);
          break;
        case 1:
          text.erase(at, end - at);
          break;
        case 2:
          text.insert(at, text.substr(at, end - at));
          break;
        case 3:
          text.resize(at);
          break;
        case 4:
          text.insert(at, other.substr(character_at(other, below(other.size()))));
          break;
        default:
          text.replace(at, end - at, kWords[below(std::size(kWords))]);
          break;
      }
      if (text.size() > 2000) text.resize(character_at(text, 2000));
    }
    return text;
  }

 private:
  // The begin of a character at or before `at`.
  static size_t character_at(const std::string& text, size_t at) {
    while (at > 0 && at < text.size() && (text[at] & 0xC0) == 0x80) --at;
    return at;
  }

  std::mt19937_64 random_;
};

std::shared_ptr<const AnswerFormat> varied(const AnswerFormat& format, uint64_t choice) {
  auto other = std::make_shared<AnswerFormat>(format);
  if (choice % 8 == 0) other->reads_calls = false;
  if (choice % 8 == 1) other->one_call = true;
  if (choice % 8 == 2) other->opened = "<think>\n";
  return other;
}

// Tokens of the form <|...|> are special.
std::vector<std::string> specials_in(const std::vector<std::string>& answers) {
  std::vector<std::string> specials;
  for (const std::string& text : answers) {
    for (size_t at = text.find("<|"); at != std::string::npos; at = text.find("<|", at + 1)) {
      const size_t end = text.find("|>", at);
      if (end != std::string::npos) specials.push_back(text.substr(at, end + 2 - at));
    }
  }
  return specials;
}

std::vector<HandDialect> all_dialects() {
  std::vector<HandDialect> dialects = hand_dialects();
  for (const std::string& file : template_files()) {
    const DerivedDialect derived = derive(file);
    if (!derived.found.tools && !derived.found.reasoning) continue;
    HandDialect dialect;
    dialect.name = derived.name;
    dialect.format = std::make_shared<const AnswerFormat>(probe_format(derived.found.dialect));
    std::vector<ProbeAnswer> probes = {{"Yes.", "Some thoughts.", {}}};
    if (derived.found.tools) {
      for (const ProbeAnswer& probe : call_probes(derived.found.several_calls, true)) {
        probes.push_back(probe);
      }
    }
    for (const ProbeAnswer& probe : probes) {
      const std::string text = derived.rendered(probe);
      if (!text.empty()) dialect.answers.push_back(text);
    }
    dialect.specials = specials_in(dialect.answers);
    dialects.push_back(dialect);
  }
  return dialects;
}

}  // namespace

void read_mutated_answers(int count, uint64_t seed) {
  ::testing::Test::RecordProperty("seed", static_cast<int>(seed));
  const std::vector<HandDialect> dialects = all_dialects();
  std::vector<std::vector<std::shared_ptr<const AnswerFormat>>> formats;
  for (const HandDialect& dialect : dialects) {
    formats.emplace_back();
    for (uint64_t i = 0; i < 8; ++i) formats.back().push_back(varied(*dialect.format, i));
  }
  Mutator mutator(seed);
  for (int i = 0; i < count; ++i) {
    const size_t which = mutator.below(dialects.size());
    const HandDialect& dialect = dialects[which];
    const HandDialect& other = dialects[mutator.below(dialects.size())];
    const auto& format = formats[which][mutator.below(8)];
    const std::string text = mutator.mutate(dialect.answers[mutator.below(dialect.answers.size())],
                                            other.answers[mutator.below(other.answers.size())]);
    const std::vector<Piece> pieces = pieces_of(text, dialect.specials);
    const std::vector<Piece> cut = at_random(pieces, mutator.random());
    ASSERT_EQ(find_loss(format, cut), "") << dialect.name << ": " << text;
    const ReadAnswer whole = read_answer(format, pieces);
    ASSERT_EQ(describe(whole), describe(read_answer(format, cut))) << dialect.name << ": " << text;
    ASSERT_LE(static_cast<size_t>(whole.num_complete), whole.calls.size());
  }
}

}  // namespace trireme

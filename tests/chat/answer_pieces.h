// Reads answers whole, cut at every byte and in random pieces, for the tests of answer parsers.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/answer_parser.h"

namespace trireme {

struct ReadCall {
  std::string id;
  std::string name;
  std::string arguments;
  bool operator==(const ReadCall&) const = default;
};

// The joined parts of an answer.
struct ReadAnswer {
  std::string reasoning;
  std::string content;
  std::vector<ReadCall> calls;
  int num_complete = 0;
  bool wants_end = false;
  bool operator==(const ReadAnswer&) const = default;
};

std::string describe(const ReadAnswer& answer);

// A piece of an answer: some text, or one special token.
struct Piece {
  std::string text;
  bool special = false;
};

// Cuts `text` at the special tokens.
std::vector<Piece> pieces_of(std::string_view text, const std::vector<std::string>& specials);
// Cuts the pieces that are not special: after every byte, or at random.
std::vector<Piece> in_bytes(const std::vector<Piece>& pieces);
std::vector<Piece> at_random(const std::vector<Piece>& pieces, std::mt19937_64& random);

ReadAnswer read_answer(const std::shared_ptr<const AnswerFormat>& format,
                       const std::vector<Piece>& pieces);

// The answer, after checking that every way of cutting gives the same.
ReadAnswer read_in_all_ways(const std::shared_ptr<const AnswerFormat>& format,
                            std::string_view text,
                            const std::vector<std::string>& specials);

// "" or the reason: the sources of all events are not `text`, or shown text is not in its source.
std::string find_loss(const std::shared_ptr<const AnswerFormat>& format,
                      const std::vector<Piece>& pieces);

}  // namespace trireme

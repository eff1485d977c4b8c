#include "tests/chat/answer_pieces.h"

#include <gtest/gtest.h>

#include "model/chat/answer/answer_reader.h"

namespace trireme {

std::string describe(const ReadAnswer& answer) {
  std::string out = "reasoning[" + answer.reasoning + "] content[" + answer.content + "]";
  for (const ReadCall& call : answer.calls) out += " " + call.name + "(" + call.arguments + ")";
  return out + " complete=" + std::to_string(answer.num_complete) +
         (answer.wants_end ? " ends" : "");
}

std::vector<Piece> pieces_of(std::string_view text, const std::vector<std::string>& specials) {
  std::vector<Piece> pieces;
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    for (const std::string& special : specials) {
      if (text.substr(at).starts_with(special)) length = std::max(length, special.size());
    }
    if (length == 0) {
      plain += text[at++];
      continue;
    }
    if (!plain.empty()) pieces.push_back({plain, false});
    plain.clear();
    pieces.push_back({std::string(text.substr(at, length)), true});
    at += length;
  }
  if (!plain.empty()) pieces.push_back({plain, false});
  return pieces;
}

std::vector<Piece> in_bytes(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces) {
    if (piece.special) out.push_back(piece);
    for (size_t i = 0; !piece.special && i < piece.text.size(); ++i) {
      out.push_back({std::string(1, piece.text[i]), false});
    }
  }
  return out;
}

std::vector<Piece> at_random(const std::vector<Piece>& pieces, std::mt19937_64& random) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces) {
    if (piece.special) out.push_back(piece);
    for (size_t i = 0; !piece.special && i < piece.text.size();) {
      const size_t length = 1 + random() % 12;
      out.push_back({piece.text.substr(i, length), false});
      i += length;
    }
  }
  return out;
}

ReadAnswer read_answer(const std::shared_ptr<const AnswerFormat>& format,
                       const std::vector<Piece>& pieces) {
  AnswerParser parser(format, 7);
  std::vector<AnswerPart> parts;
  for (const Piece& piece : pieces) parser.push(piece.text, piece.special, parts);
  ReadAnswer answer;
  answer.wants_end = parser.wants_end();
  parser.finish(parts);
  answer.num_complete = parser.num_calls();
  for (const AnswerPart& part : parts) {
    if (part.kind == PartKind::kContent) answer.content += part.text;
    if (part.kind == PartKind::kReasoning) answer.reasoning += part.text;
    if (part.kind != PartKind::kToolCall) continue;
    const auto index = static_cast<size_t>(part.call_index);
    if (index == answer.calls.size()) answer.calls.push_back({part.call_id, part.name, {}});
    EXPECT_LT(index, answer.calls.size()) << "a call begins without its name";
    if (index < answer.calls.size()) answer.calls[index].arguments += part.text;
  }
  return answer;
}

ReadAnswer read_in_all_ways(const std::shared_ptr<const AnswerFormat>& format,
                            std::string_view text,
                            const std::vector<std::string>& specials) {
  const std::vector<Piece> pieces = pieces_of(text, specials);
  const ReadAnswer whole = read_answer(format, pieces);
  EXPECT_EQ(describe(whole), describe(read_answer(format, in_bytes(pieces)))) << text;
  for (size_t i = 0; i < pieces.size(); ++i) {
    for (size_t cut = 1; !pieces[i].special && cut < pieces[i].text.size(); ++cut) {
      std::vector<Piece> two = pieces;
      two[i].text = pieces[i].text.substr(0, cut);
      two.insert(two.begin() + static_cast<ptrdiff_t>(i) + 1, {pieces[i].text.substr(cut), false});
      EXPECT_EQ(describe(whole), describe(read_answer(format, two))) << text << " cut at " << cut;
    }
  }
  std::mt19937_64 random(11);
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(describe(whole), describe(read_answer(format, at_random(pieces, random)))) << text;
  }
  EXPECT_EQ(find_loss(format, pieces), "") << text;
  return whole;
}

std::string find_loss(const std::shared_ptr<const AnswerFormat>& format,
                      const std::vector<Piece>& pieces) {
  AnswerReader reader(format);
  std::string sources;
  std::string fault;
  const AnswerReader::Sink sink = [&](const ReadEvent& event) {
    sources += event.source;
    const bool shown = event.kind == ReadKind::kContent || event.kind == ReadKind::kReasoning;
    if (shown && event.text != event.source) fault = "other text than the source";
    if (event.kind == ReadKind::kDropped && !event.text.empty()) fault = "dropped text shown";
  };
  std::string text;
  reader.push(format->opened, false, [](const ReadEvent&) {});
  reader.begin_answer();
  for (const Piece& piece : pieces) {
    text += piece.text;
    reader.push(piece.text, piece.special, sink);
  }
  reader.finish(sink);
  if (sources != text) fault = "read [" + sources + "] of [" + text + "]";
  return fault;
}

}  // namespace trireme

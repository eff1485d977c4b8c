// Byte-pair encoding of one word (Sennrich et al. 2016; byte-level: GPT-2; byte fallback:
// SentencePiece). Const after load, any thread; the caller provides the scratch memory.
// A word of n characters costs O(n log n), for any content.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/token.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/unicode.h"
#include "model/tokenizer/vocabulary.h"

namespace trireme {

struct BpeOptions {
  TokenId unknown = -1;  // id of characters without a token; -1: they are dropped
  // The name of an unknown token that is not in the vocabulary: a text that needs it is refused.
  std::optional<std::string> missing_unknown;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is a token is encoded as that token
  std::string continuing_prefix;
  std::string end_suffix;
};

// Reused for all words of one call of encode.
struct BpeScratch {
  struct Symbol {
    TokenId id;
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t position;
    TokenId merged;
  };
  bool lacks_unknown = false;  // a character has no token, and the unknown token is missing
  std::vector<TokenId> ids;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::string piece;
};

class BpeModel {
 public:
  // The vocabulary must outlive the model.
  BpeModel(const Vocabulary& vocabulary, MergeTable merges, BpeOptions options);

  // Appends the ids of `word` (valid UTF-8) to `out`.
  void encode_word(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const;

  // The same for a word of plain bytes, which this maps to the alphabet of GPT-2.
  void encode_bytes(std::string_view word,
                    const ByteAlphabet& alphabet,
                    BpeScratch& scratch,
                    std::vector<TokenId>& out) const;

  const MergeTable& merges() const { return merges_; }
  const BpeOptions& options() const { return options_; }

 private:
  void split_characters(std::string_view word, BpeScratch& scratch) const;
  bool append_fallback(std::string_view character, BpeScratch& scratch) const;
  void merge_all(BpeScratch& scratch, std::vector<TokenId>& out) const;
  void merge_short(std::vector<TokenId>& ids) const;
  void merge_long(BpeScratch& scratch) const;
  void push_candidate(BpeScratch& scratch, int32_t position) const;

  const Vocabulary& vocabulary_;
  const MergeTable merges_;
  const BpeOptions options_;
  bool plain_ = false;  // no prefix or suffix, and the character of every byte is a token
  std::array<TokenId, 256> character_ids_;  // by byte, of its character in the alphabet of GPT-2
  std::array<TokenId, 256> fallback_ids_;   // by byte, of <0xNN>
};

}  // namespace trireme

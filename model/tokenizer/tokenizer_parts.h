// The parts of a Tokenizer, in the order in which they process a text. Internal to model/tokenizer
// and its tests. Const after read; not movable, since the model points to the vocabulary.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/decoder.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/post_processor.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/tokenizer_settings.h"
#include "model/tokenizer/vocabulary.h"

namespace trireme {

struct TokenizerParts {
  TokenizerParts() : vocabulary(0) {}
  TokenizerParts(const TokenizerParts&) = delete;

  std::string path;  // of the tokenizer.json, for errors
  std::string note;  // see Tokenizer::note()
  Vocabulary vocabulary;
  AddedTokenMatcher added;  // matched in the original text
  Normalizer normalizer;
  AddedTokenMatcher added_normalized;  // matched in the normalised text
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const BpeModel> model;
  PostProcessor post_processor;
  Decoder decoder;
  std::unordered_map<TokenId, std::string>
      normalized_pieces;  // of added tokens that the normalizer changes

  bool splits_special_tokens = false;  // they are never found in a text

  // The piece that is passed to the decoder: the normalised form of a normalised added token.
  std::string_view decoded_piece(TokenId id) const {
    if (!normalized_pieces.empty() && vocabulary.is_added(id)) {
      const auto found = normalized_pieces.find(id);
      if (found != normalized_pieces.end()) return found->second;
    }
    return vocabulary.piece(id);
  }
};

// Reads the text of the tokenizer.json `path`, and what stands beside it. Errors: TRI-TOK-002..012,
// 016; in_file() adds the path to them.
StatusOr<std::unique_ptr<const TokenizerParts>> read_tokenizer(std::string_view json,
                                                               const std::string& path,
                                                               const TokenizerSettings& settings);

}  // namespace trireme

#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <cstdio>

namespace trireme {
namespace {

// Longer than nearly every word of prose, yet short enough that n^2 steps cost less than a heap.
constexpr size_t kShortWord = 24;

// Order for std::push_heap, whose front is the maximum: the lowest rank, then the leftmost
// position.
bool later(const BpeScratch::Candidate& a, const BpeScratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

BpeModel::BpeModel(const Vocabulary& vocabulary, MergeTable merges, BpeOptions options)
    : vocabulary_(vocabulary), merges_(std::move(merges)), options_(std::move(options)) {
  const ByteAlphabet alphabet;
  plain_ = options_.continuing_prefix.empty() && options_.end_suffix.empty();
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    fallback_ids_[byte] = vocabulary.find_in_model(name);
    character_ids_[byte] = vocabulary.find_in_model(alphabet.character(byte));
    if (character_ids_[byte] < 0) plain_ = false;
  }
}

void BpeModel::encode_word(std::string_view word,
                           BpeScratch& scratch,
                           std::vector<TokenId>& out) const {
  if (word.empty()) return;
  if (options_.ignore_merges) {
    const TokenId whole = vocabulary_.find_in_model(word);
    if (whole >= 0) return out.push_back(whole);
  }
  split_characters(word, scratch);
  merge_all(scratch, out);
}

void BpeModel::encode_bytes(std::string_view word,
                            const ByteAlphabet& alphabet,
                            BpeScratch& scratch,
                            std::vector<TokenId>& out) const {
  if (options_.ignore_merges || !plain_) {
    std::string mapped = std::move(scratch.piece);
    mapped.clear();
    for (const uint8_t byte : word) mapped.append(alphabet.character(byte));
    const TokenId whole = options_.ignore_merges ? vocabulary_.find_in_model(mapped) : -1;
    if (whole >= 0) {
      out.push_back(whole);
    } else if (!plain_) {
      split_characters(mapped, scratch);
      merge_all(scratch, out);
    }
    scratch.piece = std::move(mapped);
    if (whole >= 0 || !plain_) return;
  }
  scratch.ids.clear();
  for (const uint8_t byte : word) scratch.ids.push_back(character_ids_[byte]);
  merge_all(scratch, out);
}

// A pending unknown and fallback bytes are emitted in the order of the Hugging Face tokenizers.
void BpeModel::split_characters(std::string_view word, BpeScratch& scratch) const {
  scratch.ids.clear();
  bool pending_unknown = false;
  const auto flush = [&] {
    if (pending_unknown) scratch.ids.push_back(options_.unknown);
    pending_unknown = false;
  };
  std::string decorated;
  for (size_t at = 0; at < word.size();) {
    const size_t length = utf8_step(word.substr(at)).length;
    std::string_view character = word.substr(at, length);
    const bool first = at == 0;
    at += length;
    const bool last = at == word.size();
    if ((!first && !options_.continuing_prefix.empty()) || (last && !options_.end_suffix.empty())) {
      decorated.assign(first ? "" : options_.continuing_prefix);
      decorated.append(character);
      if (last) decorated.append(options_.end_suffix);
      character = decorated;
    }
    const TokenId id = vocabulary_.find_in_model(character);
    if (id >= 0) {
      flush();
      scratch.ids.push_back(id);
    } else if (!(options_.byte_fallback && append_fallback(character, scratch))) {
      if (options_.missing_unknown) scratch.lacks_unknown = true;
      if (options_.unknown < 0) continue;
      if (!options_.fuse_unknown) flush();
      pending_unknown = true;
    }
  }
  flush();
}

bool BpeModel::append_fallback(std::string_view character, BpeScratch& scratch) const {
  for (const uint8_t byte : character) {
    if (fallback_ids_[byte] < 0) return false;
  }
  for (const uint8_t byte : character) scratch.ids.push_back(fallback_ids_[byte]);
  return true;
}

void BpeModel::merge_all(BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (scratch.ids.size() <= kShortWord) {
    merge_short(scratch.ids);
  } else {
    merge_long(scratch);
  }
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

// O(n^2): stores the merge of each adjacent pair and applies the lowest rank until none is left.
void BpeModel::merge_short(std::vector<TokenId>& ids) const {
  Merge pairs[kShortWord];
  size_t count = ids.size();
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = merges_.find(ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = count;
    int32_t best_rank = INT32_MAX;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (pairs[i].rank >= 0 && pairs[i].rank < best_rank) {
        best_rank = pairs[i].rank;
        best = i;
      }
    }
    if (best == count) break;
    ids[best] = pairs[best].merged;
    std::copy(ids.begin() + best + 2, ids.begin() + count, ids.begin() + best + 1);
    std::copy(pairs + best + 1, pairs + count - 1, pairs + best);
    --count;
    if (best > 0) pairs[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < count) pairs[best] = merges_.find(ids[best], ids[best + 1]);
  }
  ids.resize(count);
}

void BpeModel::push_candidate(BpeScratch& scratch, int32_t position) const {
  const BpeScratch::Symbol& left = scratch.symbols[position];
  if (left.next < 0) return;
  const Merge merge = merges_.find(left.id, scratch.symbols[left.next].id);
  if (merge.rank < 0) return;
  scratch.heap.push_back({merge.rank, position, merge.merged});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), later);
}

// O(n log n): a linked list of symbols and a heap of candidates. A candidate whose pair has changed
// is stale and skipped.
void BpeModel::merge_long(BpeScratch& scratch) const {
  auto& symbols = scratch.symbols;
  const int32_t count = static_cast<int32_t>(scratch.ids.size());
  symbols.clear();
  for (int32_t i = 0; i < count; ++i) {
    symbols.push_back({scratch.ids[i], i - 1, i + 1 == count ? -1 : i + 1});
  }
  scratch.heap.clear();
  for (int32_t i = 0; i + 1 < count; ++i) push_candidate(scratch, i);
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), later);
    const BpeScratch::Candidate top = scratch.heap.back();
    scratch.heap.pop_back();
    BpeScratch::Symbol& left = symbols[top.position];
    if (left.id < 0 || left.next < 0) continue;
    BpeScratch::Symbol& right = symbols[left.next];
    const Merge merge = merges_.find(left.id, right.id);
    if (merge.rank < 0 || merge.merged != top.merged) continue;
    left.id = top.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.position;
    if (left.previous >= 0) push_candidate(scratch, left.previous);
    push_candidate(scratch, top.position);
  }
  scratch.ids.clear();
  for (int32_t i = 0; i >= 0; i = symbols[i].next) scratch.ids.push_back(symbols[i].id);
}

}  // namespace trireme

// Random words for request ids and seeds: a keyed stream cipher (ChaCha20, libsodium), so that no
// word tells anything about another. The same key gives the same words. Part of the Engine.
#pragma once

#include <array>
#include <cstdint>

namespace trireme {

using RandomKey = std::array<uint8_t, 32>;

class RandomWords {
 public:
  explicit RandomWords(const RandomKey& key) : key_(key) {}
  uint64_t next();

 private:
  const RandomKey key_;
  uint64_t count_ = 0;
};

}  // namespace trireme

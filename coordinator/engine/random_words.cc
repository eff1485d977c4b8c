#include "coordinator/engine/random_words.h"

#include <sodium.h>

#include <cstring>

namespace trireme {

static_assert(crypto_stream_chacha20_KEYBYTES == sizeof(RandomKey));

uint64_t RandomWords::next() {
  unsigned char nonce[crypto_stream_chacha20_NONCEBYTES];
  static_assert(sizeof nonce == sizeof count_);
  std::memcpy(nonce, &count_, sizeof nonce);
  ++count_;
  uint64_t word = 0;
  crypto_stream_chacha20(reinterpret_cast<unsigned char*>(&word), sizeof word, nonce, key_.data());
  return word;
}

}  // namespace trireme

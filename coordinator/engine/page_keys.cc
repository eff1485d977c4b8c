#include "coordinator/engine/page_keys.h"

#include <sodium.h>

#include <cstring>

namespace trireme {

namespace {

PageKey hash(const PageKey& key, const void* data, size_t bytes) {
  PageKey result;
  crypto_generichash_blake2b(reinterpret_cast<unsigned char*>(&result),
                             sizeof result,
                             static_cast<const unsigned char*>(data),
                             bytes,
                             reinterpret_cast<const unsigned char*>(&key),
                             sizeof key);
  return result;
}

}  // namespace

PageKey first_parent(const std::string& salt, const std::string& principal) {
  const PageKey salted = hash(PageKey{1, 1}, salt.data(), salt.size());
  return hash(salted, principal.data(), principal.size());
}

PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens) {
  return hash(parent, tokens.data(), tokens.size_bytes());
}

}  // namespace trireme

#include "coordinator/engine/scheduling/page_keys.h"

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

PageKey first_parent(const std::string& fingerprint,
                     const std::string& principal,
                     const std::string& salt) {
  const PageKey of_model = hash(PageKey{1, 1}, fingerprint.data(), fingerprint.size());
  const PageKey of_principal = hash(of_model, principal.data(), principal.size());
  return hash(of_principal, salt.data(), salt.size());
}

PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens) {
  return hash(parent, tokens.data(), tokens.size_bytes());
}

}  // namespace trireme

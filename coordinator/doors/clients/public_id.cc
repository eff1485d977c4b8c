#include "coordinator/doors/clients/public_id.h"

#include <sodium.h>

#include "coordinator/doors/clients/answer_messages.h"

namespace trireme {

std::string public_id_of(const RequestId& id, const PublicIdKey& key) {
  static_assert(std::tuple_size_v<PublicIdKey> == crypto_generichash_KEYBYTES);
  constexpr size_t kHashBytes = crypto_generichash_BYTES_MIN;
  constexpr size_t kIdBytes = 12;
  const std::string bytes = id_to_wire(id);
  unsigned char hash[kHashBytes];
  crypto_generichash(hash,
                     sizeof hash,
                     reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size(),
                     key.data(),
                     key.size());
  char text[2 * kIdBytes + 1];
  sodium_bin2hex(text, sizeof text, hash, kIdBytes);
  return text;
}

}  // namespace trireme

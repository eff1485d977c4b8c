#include "coordinator/doors/clients/request_digest.h"

#include <sodium.h>

namespace trireme {

std::string digest_of(const door::Submit& submit, ClientCodec& codec) {
  door::Submit same = submit;
  const door::Submit none;
  same.tag = none.tag;
  same.idempotency_key.clear();
  same.principal.clear();
  same.share.clear();
  same.priority = none.priority;
  same.traceparent.clear();
  same.client_request_id.clear();
  same.client_state.clear();
  same.on_disconnect = none.on_disconnect;
  same.disconnect_grace_ms = none.disconnect_grace_ms;
  same.nonce = none.nonce;
  same.deadline_ms = none.deadline_ms;
  same.credit_bytes = none.credit_bytes;
  same.progress_interval_ms = none.progress_interval_ms;
  std::string frame;
  codec.encode(door::FromClient(std::move(same)), frame);
  std::string digest(crypto_generichash_BYTES_MIN, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(digest.data()),
                     digest.size(),
                     reinterpret_cast<const unsigned char*>(frame.data()),
                     frame.size(),
                     nullptr,
                     0);
  return digest;
}

}  // namespace trireme

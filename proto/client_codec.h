// Frames of the front door: encodes and decodes client_messages.h. Used by the coordinator and by
// the C++ client. One codec belongs to one thread (it keeps messages between calls). Decoding is
// safe on any bytes: a value, or TRI-NET-0xx.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/client_messages.h"

namespace trireme {

class ClientCodec {
 public:
  ClientCodec();
  ~ClientCodec();

  // Replace the content of `frame`, whose capacity is kept.
  void encode(const door::FromClient& message, std::string& frame);
  void encode(const door::ToClient& message, std::string& frame);

  StatusOr<door::FromClient> decode_from_client(std::string_view frame);
  StatusOr<door::ToClient> decode_to_client(std::string_view frame);

  // The tag in the last frame from a client if that was a Submit, even one that was refused for a
  // field out of range: so that the refusal finds its request. 0: there was none.
  uint64_t last_submit_tag() const { return last_submit_tag_; }

 private:
  struct Messages;
  std::unique_ptr<Messages> messages_;
  uint64_t last_submit_tag_ = 0;
};

// The bytes of a Submit's body that are not its prompt; -1 if the body is no message.
int64_t control_bytes_of_submit(std::string_view body);

}  // namespace trireme

// Codec of the front door: converts client_messages.h to frames and back. Used by the coordinator
// and by the C++ client. One codec belongs to one thread, since it reuses its protobuf messages.
// Decoding is safe for any bytes: it returns a value or TRI-NET-0xx.
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

  // Replace the content of `frame` and keep its capacity.
  void encode(const door::FromClient& message, std::string& frame);
  void encode(const door::ToClient& message, std::string& frame);

  StatusOr<door::FromClient> decode_from_client(std::string_view frame);
  StatusOr<door::ToClient> decode_to_client(std::string_view frame);

  // The tag of the last frame from a client if it was a Submit, even if it was refused for a field
  // out of range: the refusal can then name the request. 0: not a Submit.
  uint64_t last_submit_tag() const { return last_submit_tag_; }

 private:
  struct Messages;
  std::unique_ptr<Messages> messages_;
  uint64_t last_submit_tag_ = 0;
};

// The bytes of the body of a Submit without its prompt; -1 if the body is not a message.
int64_t control_bytes_of_submit(std::string_view body);

}  // namespace trireme

// Codec of the front door: converts client_messages.h to frames and back. Used by the coordinator
// and by the C++ client. One codec belongs to one thread, since it reuses its protobuf messages.
// Decoding is safe for any bytes: it returns a value or TRI-NET-0xx.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/client_messages.h"
#include "proto/frame.h"
#include "proto/prompt_scan.h"

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

  // The tag of the last frame from a client if it was a Submit, Tokenize or Detokenize, even if it
  // was refused: the refusal can then name the request. 0: another message, or no tag can be read.
  uint64_t last_tag() const { return last_tag_; }

 private:
  struct Messages;
  template <class Value, class Message>
  StatusOr<door::FromClient> decode_prompt(PromptMessage type,
                                           std::string_view body,
                                           Message& message);

  std::unique_ptr<Messages> messages_;
  uint64_t last_tag_ = 0;
};

// The largest frames that a coordinator takes from a client; Welcome.limits reports them.
struct FrameLimits {
  int64_t control_bytes = kMaxControlBytes;  // of a body, without its prompt
  int64_t prompt_bytes = kMaxPromptBytes;    // of the body of a message with a prompt
};

// TRI-NET-004: a frame from a client that the coordinator would not take. A larger one would even
// end the connection, and with it all its requests.
Status check_frame_size(std::string_view frame, const FrameLimits& limits);

}  // namespace trireme

#include "proto/frame.h"

namespace trireme {

Status unknown_major(int major) {
  return invalid(
      "TRI-NET-002",
      "protocol major {} is not spoken here, only {} to {}; use a client of the same release",
      major,
      int{kProtocolMajorMin},
      int{kProtocolMajor});
}

StatusOr<Frame> read_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes) {
    return invalid("TRI-NET-001",
                   "a frame has {} bytes, at least {} are needed (protocol major, message type)",
                   bytes.size(),
                   kFrameHeaderBytes);
  }
  Frame frame;
  frame.major = static_cast<uint8_t>(bytes[0]);
  frame.type = static_cast<uint8_t>(bytes[1]);
  frame.body = bytes.substr(kFrameHeaderBytes);
  if (frame.major < kProtocolMajorMin || frame.major > kProtocolMajor) {
    return unknown_major(frame.major);
  }
  return frame;
}

}  // namespace trireme

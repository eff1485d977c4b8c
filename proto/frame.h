// A message on the wire: one byte protocol major, one byte message type, then the protobuf body.
// Limits are checked before anything is parsed; a hostile frame gives a Status, never a failed
// CHECK. Any thread; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace trireme {

constexpr uint8_t kProtocolMajor = 1;
constexpr uint8_t kProtocolMajorMin = 1;
constexpr uint32_t kProtocolMinor = 1;
constexpr size_t kFrameHeaderBytes = 2;
constexpr int kMaxMessageDepth = 16;
constexpr int64_t kMaxControlBytes = 1 << 20;       // a frame of a client, without its prompt
constexpr int64_t kMaxPromptBytes = 16 << 20;       // a frame with a prompt
constexpr int64_t kMaxStepFrameBytes = 16 << 20;    // between coordinator and rank
constexpr int64_t kMaxToClientBytes = 16 << 20;     // from coordinator to client
constexpr int64_t kMaxClientStateBytes = 64 << 10;  // of Submit.client_state

struct Frame {
  uint8_t major = 0;
  uint8_t type = 0;
  std::string_view body;
};

// TRI-NET-001: shorter than a header. TRI-NET-002: another protocol major.
StatusOr<Frame> read_frame(std::string_view bytes);

// TRI-NET-002; names the protocol majors that this program supports.
Status unknown_major(int major);

}  // namespace trireme

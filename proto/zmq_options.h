// Socket options of both doors and of their peers, as plain numbers: the file that owns a socket
// (coordinator/doors/zmq_doors.cc, worker/control/door_connection.cc, clients/cpp/client_link.cc)
// applies them. No state. Invariant: both ends of a connection use the same heartbeat and agree on
// the largest frame. Times are in milliseconds, high-water marks in messages.
#pragma once

#include <cstdint>

namespace trireme {

// A connection without traffic is checked every interval and is closed when the peer's program
// stays silent for the time-out, or its host for the shorter time-out of TCP, which counts bytes
// that are not acknowledged. A process that resumes after a stop handles expired timers before it
// reads, and would drop every peer; so the time-out of heartbeats is longer than a debugger's or an
// operator's pause. Ranks that hang or fall silent are found by the heartbeats of the worker door
// (coordinator/doors/ranks/group_health.h).
constexpr int kZmqHeartbeatMs = 1'000;
constexpr int kZmqHeartbeatTimeoutMs = 60'000;
constexpr int kTcpTimeoutMs = 6'000;
constexpr int kZmqHandshakeMs = 5'000;  // for the ZMTP and CURVE handshake of one connection
constexpr int kZmqConnectMs = 2'000;    // for one attempt of a rank to connect
constexpr int kZmqReconnectMs = 50;     // between two attempts of a rank or a client to connect

// High-water marks: the messages that are queued for one connection before a send is refused.
constexpr int kZmqReceiveHighWater = 1'000;         // of every socket
constexpr int kZmqClientDoorSendHighWater = 256;    // coordinator to one client
constexpr int kZmqWorkerDoorSendHighWater = 1'000;  // coordinator to one rank
constexpr int kZmqRankSendHighWater = 1'000;        // rank to coordinator
constexpr int kZmqClientSendHighWater = 4'096;      // client to coordinator
constexpr int kZmqUnlimited = 0;                    // a high-water mark of libzmq without a limit

// Linger: how long a closed socket goes on sending. The last messages matter: Finished and Fence
// of the coordinator, Goodbye of a rank, Cancel of a client.
constexpr int kZmqDoorLingerMs = 500;
constexpr int kZmqRankLingerMs = 1'000;
constexpr int kZmqClientLingerMs = 200;

constexpr int kZmqBacklog = 1'024;  // connections of one door that wait for accept()
// Sockets of the coordinator's context (two doors, their monitors, ZAP), not connections.
constexpr int kZmqMaxCoordinatorSockets = 64;

// The largest message a socket takes; libzmq closes a connection that sends more. The slack covers
// the protobuf tag and length round the largest body.
constexpr int64_t kZmqFrameSlackBytes = 64;
constexpr int64_t zmq_max_message_bytes(int64_t max_frame_bytes) {
  return max_frame_bytes + kZmqFrameSlackBytes;
}

}  // namespace trireme

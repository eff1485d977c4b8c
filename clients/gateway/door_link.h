// The coordinator's client door as the gateway uses it: no call blocks, answers are events. The
// program has ClientDoor; a test has one of its own.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "clients/cpp/client_events.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

class DoorListener {
 public:
  virtual ~DoorListener() = default;
  virtual void on_door_event(ClientEvent event) = 0;
};

class DoorLink {
 public:
  virtual ~DoorLink() = default;
  virtual bool is_connected() const = 0;
  // Of the newest connection.
  virtual const door::Welcome& welcome() const = 0;
  // Each returns the tag of the events to come; a refusal is an event, too. The credit of submit()
  // and resume() is granted again by grant() alone.
  virtual StatusOr<uint64_t> submit(door::Submit request) = 0;
  virtual StatusOr<uint64_t> resume(door::Resume request) = 0;
  virtual StatusOr<uint64_t> tokenize(door::Tokenize question) = 0;
  virtual StatusOr<uint64_t> detokenize(door::Detokenize question) = 0;
  virtual void cancel(uint64_t tag) = 0;
  // Reads the answer no more; the request goes on.
  virtual void leave(uint64_t tag) = 0;
  // The answer is not resumed after a loss of the connection; the request goes on.
  virtual void end_with_connection(uint64_t tag) = 0;
  virtual void grant(uint64_t tag, int64_t bytes) = 0;
  // Answers: Pong, Models, StatusReply; none if the connection is lost.
  virtual void ask_ping() = 0;
  virtual void ask_models() = 0;
  virtual void ask_status() = 0;
};

}  // namespace trireme::gateway

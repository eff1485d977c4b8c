// The open requests and questions of a Client: the credit of each, and what brings a request to the
// next connection. Used by the Client's thread; knows no socket and no clock.
// Invariants: credit is granted for bytes that were received, once, in grants of at least half of
// the stream's credit. A request that was accepted is never submitted again unless the coordinator
// has said that it does not keep the answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "clients/cpp/answer_progress.h"
#include "clients/cpp/client_events.h"

namespace trireme {

enum class CreditMode : uint8_t {
  kAutomatic,  // credit is granted again as soon as poll() receives an event
  kManual,     // Client::grant() does
};

// The nonces of Submit and Resume: they count up, from the wall clock, so that a program that
// starts again is above those of its last run.
class NonceCounter {
 public:
  uint64_t next(uint64_t wall_us) { return last_ = wall_us > last_ ? wall_us : last_ + 1; }
  // The caller's own: later ones are above it.
  void note(uint64_t nonce) { last_ = nonce > last_ ? nonce : last_; }

 private:
  uint64_t last_ = 0;
};

class ClientStreams {
 public:
  // A request; its fields that concern a resume are filled in (make_resumable()). `bytes`: of its
  // frame. Not `keep`: it ends with its connection.
  void open(const door::Submit& request, CreditMode mode, bool keep, int64_t bytes);
  void open(const door::Resume& request, CreditMode mode, bool keep);
  void open_question(uint64_t tag) { streams_[tag] = {}; }
  size_t size() const { return streams_.size(); }
  // Bytes of the requests that are not accepted yet and may have to be submitted again.
  int64_t kept_bytes() const { return kept_bytes_; }

  // The bytes to grant now; 0: none yet.
  int64_t note_used(uint64_t tag, int64_t bytes);

  struct News {
    bool is_new = true;         // false: the event repeats what the caller has
    int64_t grant_bytes = 0;    // to grant now
    bool starts_again = false;  // the request has to be attached anew; there is no event
  };
  // Accounts for an event, cuts it to what is new, and closes the stream that it ends.
  News note_event(ClientEvent& event);

  // False: there is no such stream, or it was cancelled before.
  bool cancel(uint64_t tag);

  // Closes all that does not go on with the next connection and returns the tags in ascending
  // order. `all`: nothing goes on.
  std::vector<uint64_t> close_lost(bool all);
  std::vector<uint64_t> tags() const;  // ascending
  // The messages that bring a request to a new connection: a Submit or a Resume, and a Cancel if it
  // was cancelled.
  std::vector<door::FromClient> attach(uint64_t tag, uint64_t nonce);
  void close(uint64_t tag);
  void end_with_connection(uint64_t tag);

 private:
  struct Stream {
    int64_t credit_bytes = 0;  // per grant; 0: a question, which has one reply
    int64_t used_bytes = 0;    // since the last grant
    int64_t held_bytes = 0;    // received and not used yet
    CreditMode mode = CreditMode::kManual;
    bool cancelled = false;
    bool accepted = false;                // the caller has the Accepted
    bool keep = false;                    // it goes on with the next connection
    std::optional<door::Submit> request;  // while it may have to be submitted again
    int64_t request_bytes = 0;            // counted in kept_bytes_
    std::string request_id;               // "": not accepted yet
    std::vector<door::AnswerPoint> points;
    AnswerProgress progress;
  };
  using Streams = std::map<uint64_t, Stream>;

  void note_accepted(Stream& stream, const door::Accepted& accepted);
  // Whether the answer is not kept and nothing of it was received: the request runs anew.
  static bool starts_again(const Stream& stream, const ClientEvent& event);
  int64_t use(Stream& stream, int64_t bytes);

  Streams streams_;
  int64_t kept_bytes_ = 0;
};

// Gives a request what a resume needs and the caller has not set: an idempotency key, and time for
// a client that is to end with its connection to come back. `random`: 16 bytes.
void make_resumable(door::Submit& request, const std::string& random);

}  // namespace trireme

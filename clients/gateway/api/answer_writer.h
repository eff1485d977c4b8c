// Writes the answer to one HTTP request in the form of one API, streamed (server-sent events) or as
// one body. Pure: messages of the door in, bytes out; no socket, no clock. One per HTTP request,
// whose prompts (several for /v1/completions) are numbered from 0 in the order of the request.
// Invariant: once finished() is true, body() or the streamed bytes are complete.
#pragma once

#include <cstdint>
#include <string>

#include "clients/gateway/api/api_error.h"
#include "proto/client_messages.h"

namespace trireme::gateway {

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // Each appends to `out` the bytes to be sent now; without streaming they append nothing. Before
  // anything else, on_accepted() comes for every prompt.
  virtual void on_accepted(int prompt, const door::Accepted& accepted, std::string& out) = 0;
  virtual void on_piece(int prompt, door::Piece piece, std::string& out) = 0;
  virtual void on_prompt_logprobs(int prompt, door::PromptLogprobs logprobs, std::string& out) = 0;
  // A choice has ended, for any reason but kFailed and kCancelled: these are on_failure().
  virtual void on_finished(int prompt, door::Finished finished, std::string& out) = 0;
  // The stream fails after its status line left.
  virtual void on_failure(const ApiError& error, std::string& out) = 0;
  // Nothing was sent for the keep-alive interval. `progress`: the latest one, or null.
  virtual void on_silence(const door::Progress* progress, std::string& out) = 0;

  // Of a stream that is resumed: the client has so many events before those of the next message.
  virtual void count_events(int64_t /*num_events*/) {}

  virtual bool finished() const = 0;  // every choice of every prompt has ended
  virtual std::string body() = 0;     // not streamed, and finished: the whole answer, as JSON
};

}  // namespace trireme::gateway

#include <utility>

#include "clients/cpp/client.h"
#include "clients/cpp/request_check.h"

namespace trireme {

template <class Question>
StatusOr<uint64_t> Client::ask_with_tag(Question question) {
  const uint64_t tag = question.tag = next_tag_++;
  Status checks = require_ready();
  if (checks.ok()) checks = check_request(question, limits().prompt_bytes);
  ASSIGN_OR_RETURN(const bool is_sent, send_or_refuse(tag, checks, std::move(question)));
  if (is_sent) streams_.open_question(tag);
  return tag;
}

StatusOr<uint64_t> Client::tokenize(door::Tokenize question) {
  return ask_with_tag(std::move(question));
}

StatusOr<uint64_t> Client::detokenize(door::Detokenize question) {
  return ask_with_tag(std::move(question));
}

StatusOr<uint64_t> Client::ask_ping() {
  RETURN_IF_ERROR(require_ready());
  const uint64_t nonce = next_tag_++;
  RETURN_IF_ERROR(send(door::Ping{nonce}));
  return nonce;
}

Status Client::ask_models() {
  RETURN_IF_ERROR(require_ready());
  return send(door::ListModels{});
}

Status Client::ask_status() {
  RETURN_IF_ERROR(require_ready());
  return send(door::StatusRequest{});
}

template <class Reply>
StatusOr<Reply> Client::ask(const door::FromClient& question, Milliseconds timeout) {
  const TimeUs deadline_us = now_us() + in_us(timeout);
  if (!lost_.ok()) return lost_;
  RETURN_IF_ERROR(encode(question));
  connection_.send(frame_);
  do {
    connection_.flush();
    while (true) {
      auto message = receive();
      Status status = message.status();
      if (status.ok() && !*message) break;
      if (status.ok()) {
        if (Reply* reply = std::get_if<Reply>(&**message)) return std::move(*reply);
        status = deliver(std::move(**message));
      }
      if (status.ok()) continue;
      if (connection_.reconnects()) lose_connection(status);
      return status;
    }
  } while (wait_until(deadline_us));
  return timed_out("TRI-NET-032", "no answer within {} ms", timeout.count());
}

Status Client::say_hello(Milliseconds timeout) {
  const door::Hello hello{kProtocolMinor, options_.name};
  ASSIGN_OR_RETURN(door::Welcome welcome, ask<door::Welcome>(hello, timeout));
  note_welcome(std::move(welcome));
  return ok_status();
}

StatusOr<door::StatusReply> Client::status(Milliseconds timeout) {
  return ask<door::StatusReply>(door::StatusRequest{}, timeout);
}

StatusOr<std::vector<door::ModelInfo>> Client::models(Milliseconds timeout) {
  ASSIGN_OR_RETURN(door::Models reply, ask<door::Models>(door::ListModels{}, timeout));
  return std::move(reply.models);
}

Status Client::ping(Milliseconds timeout) {
  return ask<door::Pong>(door::Ping{next_tag_++}, timeout).status();
}

}  // namespace trireme

#include "clients/cpp/client.h"

#include "base/utf8.h"
#include "clients/cpp/client_link.h"
#include "proto/credit.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;

Client::Milliseconds left(Clock::time_point deadline) {
  const auto rest = std::chrono::ceil<Client::Milliseconds>(deadline - Clock::now());
  return std::max(rest, Client::Milliseconds(0));
}

int64_t num_pairs(const std::vector<door::TokenLogprob>& logprobs) {
  int64_t pairs = 0;
  for (const auto& entry : logprobs) pairs += 1 + static_cast<int64_t>(entry.top.size());
  return pairs;
}

// Protobuf takes only UTF-8 in its strings.
Status check_texts(const door::Submit& request) {
  const auto check = [](const std::string& text, const char* field) -> Status {
    const auto at = first_not_utf8(text);
    if (!at) return ok_status();
    return invalid(
        "TRI-NET-003", "the {} of the request is not UTF-8 at byte {}; convert it", field, *at);
  };
  if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    RETURN_IF_ERROR(check(*text, "prompt"));
  }
  if (const auto* messages = std::get_if<door::Messages>(&request.prompt)) {
    for (const door::ChatMessage& message : *messages) {
      RETURN_IF_ERROR(check(message.role, "role of a message"));
      RETURN_IF_ERROR(check(message.content, "content of a message"));
    }
  }
  for (const std::string& stop : request.sampling.stop) {
    RETURN_IF_ERROR(check(stop, "stop string"));
  }
  RETURN_IF_ERROR(check(request.model, "model name"));
  RETURN_IF_ERROR(check(request.idempotency_key, "idempotency_key"));
  return check(request.traceparent, "traceparent");
}

// Refuses a prompt that is too long before it is encoded; every id has at least one byte.
Status check_prompt_size(const door::Submit& request, int64_t max_bytes) {
  const auto* text = std::get_if<std::string>(&request.prompt);
  const auto* ids = std::get_if<std::vector<TokenId>>(&request.prompt);
  size_t size = 0;
  if (text != nullptr) {
    size = text->size();
  } else if (ids != nullptr) {
    size = ids->size();
  }
  if (static_cast<int64_t>(size) <= max_bytes) return ok_status();
  return invalid("TRI-NET-004",
                 "the prompt has {} {}, a request has at most {} bytes ({}); shorten the prompt",
                 size,
                 text != nullptr ? "bytes" : "ids",
                 max_bytes,
                 format_bytes(static_cast<double>(max_bytes)));
}

Status to_status(const door::Error& error) {
  return status_from_wire(error.error_id, error.message);
}

}  // namespace

Client::Client(std::unique_ptr<ClientTransport> transport) : transport_(std::move(transport)) {}

StatusOr<std::unique_ptr<Client>> Client::connect(const std::string& endpoint,
                                                  Milliseconds timeout) {
  ASSIGN_OR_RETURN(auto transport, connect_client_link(endpoint));
  auto client = connect(std::move(transport), timeout);
  if (client.ok() || error_id(client.status()) != "TRI-NET-032") return client;
  return timed_out("TRI-NET-032",
                   "no answer from {} within {} ms; is the cluster up, and is the address its "
                   "`ready` line's?",
                   endpoint,
                   timeout.count());
}

StatusOr<std::unique_ptr<Client>> Client::connect(std::unique_ptr<ClientTransport> transport,
                                                  Milliseconds timeout) {
  std::unique_ptr<Client> client(new Client(std::move(transport)));
  RETURN_IF_ERROR(client->say_hello(timeout));
  return client;
}

Status Client::say_hello(Milliseconds timeout) {
  ASSIGN_OR_RETURN(welcome_, ask<door::Welcome>(door::Hello{0, "trireme-cpp"}, timeout));
  return ok_status();
}

FrameLimits Client::limits() const {
  const door::Limits& limits = welcome_.limits;
  FrameLimits known;
  if (limits.max_control_bytes > 0) known.control_bytes = limits.max_control_bytes;
  if (limits.max_prompt_bytes > 0) known.prompt_bytes = limits.max_prompt_bytes;
  return known;
}

Status Client::encode(const door::FromClient& message) {
  codec_.encode(message, frame_);
  return check_frame_size(frame_, limits());
}

Status Client::send(const door::FromClient& message, Milliseconds timeout) {
  RETURN_IF_ERROR(encode(message));
  return transport_->send(frame_, timeout);
}

StatusOr<std::optional<door::ToClient>> Client::receive(Milliseconds timeout) {
  ASSIGN_OR_RETURN(std::optional<std::string> frame, transport_->receive(timeout));
  if (!frame) return std::optional<door::ToClient>();
  ASSIGN_OR_RETURN(door::ToClient message, codec_.decode_to_client(*frame));
  return std::optional<door::ToClient>(std::move(message));
}

template <class Reply>
StatusOr<Reply> Client::ask(const door::FromClient& question, Milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  RETURN_IF_ERROR(send(question, timeout));
  while (true) {
    ASSIGN_OR_RETURN(std::optional<door::ToClient> message, receive(left(deadline)));
    if (!message) {
      return timed_out("TRI-NET-032", "no answer within {} ms", timeout.count());
    }
    if (Reply* reply = std::get_if<Reply>(&*message)) return std::move(*reply);
    RETURN_IF_ERROR(deliver(std::move(*message)));
  }
}

// A request that the coordinator cannot take is refused here: its frame would harm the others of
// this connection.
StatusOr<uint64_t> Client::submit(door::Submit request) {
  const uint64_t tag = request.tag = next_tag_++;
  if (request.credit_bytes == 0) request.credit_bytes = welcome_.default_credit_bytes;
  const int64_t credit_bytes = request.credit_bytes;
  Status refusal = check_texts(request);
  if (refusal.ok()) refusal = check_prompt_size(request, limits().prompt_bytes);
  if (refusal.ok()) refusal = encode(std::move(request));
  if (!refusal.ok()) {
    events_.push_back(door::Error{tag, error_id(refusal), message_of(refusal)});
    return tag;
  }
  RETURN_IF_ERROR(transport_->send(frame_, kSendTimeout));
  streams_[tag] = {credit_bytes, 0};
  return tag;
}

Status Client::resume(door::Resume resume, uint64_t* tag) {
  resume.tag = next_tag_++;
  if (resume.credit_bytes == 0) resume.credit_bytes = welcome_.default_credit_bytes;
  RETURN_IF_ERROR(send(resume));
  streams_[resume.tag] = {resume.credit_bytes, 0};
  *tag = resume.tag;
  return ok_status();
}

Status Client::cancel(uint64_t tag) {
  if (!streams_.contains(tag)) return ok_status();
  return send(door::Cancel{tag, ""});
}

StatusOr<std::vector<ClientEvent>> Client::poll(Milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  // Waits for the first frame only, then takes those that have arrived.
  while (true) {
    const Milliseconds wait = events_.empty() ? left(deadline) : Milliseconds(0);
    ASSIGN_OR_RETURN(std::optional<door::ToClient> message, receive(wait));
    if (!message) {
      if (!events_.empty() || Clock::now() >= deadline) break;
      continue;
    }
    RETURN_IF_ERROR(deliver(std::move(*message)));
  }
  std::vector<ClientEvent> events(std::make_move_iterator(events_.begin()),
                                  std::make_move_iterator(events_.end()));
  events_.clear();
  return events;
}

Status Client::use_credit(uint64_t tag, int64_t bytes) {
  const auto stream = streams_.find(tag);
  if (stream == streams_.end()) return ok_status();
  stream->second.used_bytes += bytes;
  if (stream->second.used_bytes * 2 < stream->second.credit_bytes) return ok_status();
  return send(door::Credit{tag, std::exchange(stream->second.used_bytes, 0)});
}

Status Client::deliver(door::ToClient message) {
  if (auto* error = std::get_if<door::Error>(&message)) {
    if (error->tag == 0) return to_status(*error);
    streams_.erase(error->tag);
    events_.push_back(std::move(*error));
  } else if (auto* tokens = std::get_if<door::Tokens>(&message)) {
    for (door::Piece& piece : tokens->pieces) {
      RETURN_IF_ERROR(use_credit(piece.tag,
                                 piece_cost(static_cast<int64_t>(piece.token_ids.size()),
                                            static_cast<int64_t>(piece.text.size()),
                                            num_pairs(piece.logprobs))));
      events_.push_back(std::move(piece));
    }
  } else if (auto* values = std::get_if<door::ProbeValues>(&message)) {
    RETURN_IF_ERROR(
        use_credit(values->tag, probe_cost(static_cast<int64_t>(values->values.size()))));
    events_.push_back(std::move(*values));
  } else if (auto* logprobs = std::get_if<door::PromptLogprobs>(&message)) {
    int64_t cost = 0;
    for (const door::TokenLogprob& entry : logprobs->entries) {
      cost += prompt_logprobs_cost(1 + static_cast<int64_t>(entry.top.size()));
    }
    RETURN_IF_ERROR(use_credit(logprobs->tag, cost));
    events_.push_back(std::move(*logprobs));
  } else if (auto* finished = std::get_if<door::Finished>(&message)) {
    if (finished->last_choice) streams_.erase(finished->tag);
    events_.push_back(std::move(*finished));
  } else if (auto* accepted = std::get_if<door::Accepted>(&message)) {
    events_.push_back(std::move(*accepted));
  }
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
  return ask<door::Pong>(door::Ping{next_tag_}, timeout).status();
}

}  // namespace trireme

// Requests of clients: what they submit, cancel, resume and ask of the tokenizer.
#include <algorithm>
#include <utility>

#include "coordinator/doors/clients/answer_messages.h"
#include "coordinator/doors/clients/front_door.h"
#include "coordinator/doors/clients/request_digest.h"
#include "proto/credit.h"
#include "proto/error_kind.h"

namespace trireme {

Status FrontDoor::may_open(const Connection& connection, uint64_t tag) const {
  if (connection.requests.contains(tag)) {
    return with_field(
        invalid("TRI-REQ-080",
                "tag {} names a request of this connection that is not over; take another tag",
                tag),
        "tag");
  }
  if (static_cast<int32_t>(connection.requests.size()) >= options_.max_in_flight) {
    return exhausted(
        "TRI-REQ-081",
        "this connection has {} requests in flight, which is its limit; wait for one to finish",
        connection.requests.size());
  }
  return ok_status();
}

Status FrontDoor::may_begin() const {
  if (!draining_) return ok_status();
  return unavailable("TRI-REQ-083", "the cluster is draining and takes no new requests");
}

bool FrontDoor::open(Call& call, uint64_t tag, bool begins) {
  Status status = may_open(call.connection, tag);
  if (status.ok() && begins) status = may_begin();
  if (status.ok()) return true;
  const int64_t retry = absl::IsResourceExhausted(status) ? kRetryAfterMs : 0;
  send_error(call.connection, error_of(tag, status, retry));
  return false;
}

// Before the prompt costs anything.
bool FrontDoor::refuses_early(Call& call, uint64_t tag, const SubmitRequest& request) {
  Status status = may_begin();
  int64_t retry_after_ms = 0;
  if (status.ok() && options_.early.may_wait) {
    status = options_.early.may_wait(request, pending_submits_, &retry_after_ms);
  }
  if (status.ok()) return false;
  send_error(call.connection, error_of(tag, status, retry_after_ms));
  return true;
}

// Spaces of different kinds never meet. On this host every connection is one: all have one address.
std::string FrontDoor::share_of(const door::Submit& submit, PeerId peer) const {
  if (!submit.share.empty()) return "share " + submit.share;
  if (!submit.principal.empty()) return "principal " + submit.principal;
  const std::string address = sender_->address_of(peer);
  if (!address.empty()) return "address " + address;
  return format_text("connection {}", peer);
}

void FrontDoor::handle(Call& call, door::Submit message) {
  const uint64_t tag = message.tag;
  if (!open(call, tag, false)) return;
  std::string digest;
  if (!message.idempotency_key.empty()) digest = digest_of(message, codec_);
  std::string share = share_of(message, call.peer);
  StatusOr<SubmitRequest> request = admit(message, options_.rules);
  if (!request.ok()) {
    send_error(call.connection, error_of(tag, request.status()));
    return;
  }
  request->digest = std::move(digest);
  request->share = std::move(share);
  request->connection = call.peer;
  request->arrived_us = call.now_us;
  if (message.deadline_ms > 0) request->deadline_us = call.now_us + message.deadline_ms * 1000;
  const bool is_known = options_.early.knows_key && options_.early.knows_key(*request);
  if (!is_known && refuses_early(call, tag, *request)) return;
  // An event that the Engine has not handled yet may make it forget the key.
  const bool needs_no_prompt = is_known && call.output.events.empty();
  if (needs_no_prompt || std::holds_alternative<std::vector<TokenId>>(message.prompt)) {
    call.connection.requests[tag];
    clamp_length(*request, options_.rules);
    call.output.events.push_back(event::Submitted{std::move(*request)});
    return;
  }
  TokenizerJob job;
  if (auto* text = std::get_if<std::string>(&message.prompt)) {
    job.work = TextToEncode{std::move(*text), message.add_special_tokens};
  } else if (auto* messages = std::get_if<door::Messages>(&message.prompt)) {
    job.work = chat_of(*messages);
  } else {
    job.work = std::move(std::get<ChatRequest>(message.prompt));
  }
  const bool is_chat = std::holds_alternative<ChatRequest>(job.work);
  queue(call, tag, std::move(job), {std::move(*request), is_chat, false, 0, is_known});
}

void FrontDoor::handle(Call& call, door::Tokenize message) {
  if (!open(call, message.tag, true)) return;
  const bool is_chat = std::holds_alternative<ChatRequest>(message.what);
  if (const Status status = is_chat ? takes_chat(options_.rules) : takes_text(options_.rules);
      !status.ok()) {
    send_error(call.connection, error_of(message.tag, status));
    return;
  }
  TokenizerJob job;
  job.is_question = true;
  job.want_pieces = message.want_pieces;
  if (auto* text = std::get_if<std::string>(&message.what)) {
    job.work = TextToEncode{std::move(*text), message.add_special_tokens};
  } else {
    job.work = std::move(std::get<ChatRequest>(message.what));
  }
  ask(call, message.tag, std::move(job), false);
}

void FrontDoor::handle(Call& call, door::Detokenize message) {
  if (!open(call, message.tag, true)) return;
  Status status = takes_text(options_.rules);
  if (status.ok()) {
    status = with_field(check_ids(message.ids, options_.rules.vocabulary_size), "ids");
  }
  if (!status.ok()) {
    send_error(call.connection, error_of(message.tag, status));
    return;
  }
  TokenizerJob job;
  job.is_question = true;
  job.work = IdsToDecode{std::move(message.ids), message.skip_special_tokens};
  ask(call, message.tag, std::move(job), true);
}

// Questions cost no credit and no place in the queue of requests: each connection has a share.
void FrontDoor::ask(Call& call, uint64_t tag, TokenizerJob job, bool is_detokenize) {
  Connection& connection = call.connection;
  const int64_t bytes = bytes_of(job);
  if (connection.questions >= kMaxQuestions ||
      connection.question_bytes + bytes > kMaxQuestionBytes) {
    const Status status =
        exhausted("TRI-REQ-097",
                  "this connection asks {} questions of {} bytes, at most {} of {} bytes are taken "
                  "at once; wait for answers",
                  connection.questions + 1,
                  connection.question_bytes + bytes,
                  kMaxQuestions,
                  kMaxQuestionBytes);
    send_error(connection, error_of(tag, status, kRetryAfterMs));
    return;
  }
  ++connection.questions;
  connection.question_bytes += bytes;
  Purpose purpose;
  purpose.is_detokenize = is_detokenize;
  purpose.question_bytes = bytes;
  queue(call, tag, std::move(job), std::move(purpose));
}

void FrontDoor::queue(Call& call, uint64_t tag, TokenizerJob job, Purpose purpose) {
  job.number = next_job_++;
  call.connection.requests[tag].job = job.number;
  const TimeUs deadline_us = purpose.submit ? purpose.submit->deadline_us : 0;
  pending_submits_ += purpose.submit.has_value();
  if (deadline_us > 0) job_deadlines_.emplace(deadline_us, job.number);
  pending_jobs_[job.number] = {call.peer, tag, std::move(purpose)};
  call.output.jobs.push_back(std::move(job));
}

std::optional<FrontDoor::PendingJob> FrontDoor::take_job(uint64_t job) {
  const auto found = pending_jobs_.find(job);
  if (found == pending_jobs_.end()) return std::nullopt;  // cancelled or disconnected
  std::optional<PendingJob> pending(std::move(found->second));
  pending_jobs_.erase(found);
  pending_submits_ -= pending->purpose.submit.has_value();
  if (pending->purpose.submit) {
    job_deadlines_.erase({pending->purpose.submit->deadline_us, job});
  } else if (const auto owner = connections_.find(pending->peer); owner != connections_.end()) {
    --owner->second.questions;
    owner->second.question_bytes -= pending->purpose.question_bytes;
  }
  return pending;
}

void FrontDoor::on_tokenized(TokenizerResult result, DoorOutput& output) {
  std::optional<PendingJob> pending = take_job(result.job);
  if (!pending) return;
  Connection* connection = nullptr;
  Request* const entry = find(pending->peer, pending->tag, &connection);
  if (entry == nullptr) return;
  entry->job = 0;
  if (!pending->purpose.submit) {
    answer_question(*connection, *pending, std::move(result));
    return;
  }
  SubmitRequest& request = *pending->purpose.submit;
  Status status = std::move(result.status);
  if (status.ok()) {
    request.prompt = std::move(result.ids);
    request.format = std::move(result.format);
    status = check_prompt(request, options_.rules);
    if (pending->purpose.is_chat && field_of(status) == "prompt") {
      status = with_field(status, "messages");
    }
  }
  if (status.ok() && pending->purpose.is_known && !options_.early.knows_key(request)) {
    status = may_begin();
  }
  if (!status.ok()) {
    refuse(*connection, pending->tag, status);
    return;
  }
  clamp_length(request, options_.rules);
  output.events.push_back(event::Submitted{std::move(request)});
}

void FrontDoor::answer_question(Connection& connection,
                                const PendingJob& pending,
                                TokenizerResult result) {
  const int64_t bytes = wire_bytes_of(result);
  if (result.status.ok()) result.status = check_answer_bytes(bytes);
  const int64_t waiting = connection.outbox.waiting_bytes();
  if (result.status.ok() && waiting + bytes > options_.max_waiting_bytes / 2) {
    result.status = exhausted(
        "TRI-REQ-097", "{} bytes already wait for this client; read faster, then ask", waiting);
  }
  if (!result.status.ok()) {
    const int64_t retry = absl::IsResourceExhausted(result.status) ? kRetryAfterMs : 0;
    refuse(connection, pending.tag, result.status, retry);
    return;
  }
  connection.requests.erase(pending.tag);
  if (pending.purpose.is_detokenize) {
    connection.outbox.send(door::Detokenized{pending.tag, std::move(result.text)});
  } else {
    connection.outbox.send(
        door::Tokenized{pending.tag, std::move(result.ids), std::move(result.pieces)});
  }
}

void FrontDoor::on_tokenizer_full(uint64_t job) {
  refuse_job(job,
             exhausted("TRI-REQ-094", "too many prompts wait for the tokenizer; try again later"),
             kRetryAfterMs);
}

void FrontDoor::refuse_job(uint64_t job, const Status& status, int64_t retry_after_ms) {
  const std::optional<PendingJob> pending = take_job(job);
  if (!pending) return;
  Connection* const connection = find(pending->peer);
  if (connection != nullptr) refuse(*connection, pending->tag, status, retry_after_ms);
}

void FrontDoor::tick(TimeUs now_us, DoorOutput& output) {
  while (!job_deadlines_.empty() && job_deadlines_.begin()->first <= now_us) {
    const uint64_t job = job_deadlines_.begin()->second;
    output.dropped_jobs.push_back(job);
    refuse_job(
        job, timed_out("TRI-REQ-036", "the deadline passed while the prompt waited to be read"), 0);
  }
}

void FrontDoor::forget_job(uint64_t job, DoorOutput& output) {
  if (take_job(job)) output.dropped_jobs.push_back(job);
}

void FrontDoor::handle(Call& call, const door::Cancel& message) {
  if (!message.request_id.empty()) {
    // The id is a secret; a client that knows it may cancel from any connection.
    call.output.events.push_back(event::Cancelled{id_from_wire(message.request_id), 0});
    return;
  }
  Request* const request = find(call.peer, message.tag);
  if (request == nullptr) return;  // it has ended
  if (request->job != 0) {
    cancel_job(call, message.tag, request->job);
  } else if (request->accepted) {
    call.output.events.push_back(event::Cancelled{request->id, call.peer});
  } else {
    request->cancel_wanted = true;
  }
}

// A prompt that waits for the pool: one Finished per choice, as if it had been accepted. A
// question: its one Error.
void FrontDoor::cancel_job(Call& call, uint64_t tag, uint64_t job) {
  const std::optional<PendingJob> pending = take_job(job);
  if (!pending) return;
  call.output.dropped_jobs.push_back(job);
  const std::optional<SubmitRequest>& submit = pending->purpose.submit;
  if (!submit) {
    refuse(call.connection, tag, conflict("TRI-REQ-096", "the question was cancelled"));
    return;
  }
  const int32_t choices = submit->kind == RequestKind::kGenerate ? submit->params.num_choices : 1;
  for (int32_t choice = 0; choice < choices; ++choice) {
    door::Finished finished;
    finished.tag = tag;
    finished.choice = choice;
    finished.reason = door::FinishReason::kCancelled;
    finished.last_choice = choice + 1 == choices;
    call.connection.outbox.send(finished);
  }
  call.connection.requests.erase(tag);
}

void FrontDoor::handle(Call& call, door::Resume message) {
  if (!open(call, message.tag, false)) return;
  const int64_t credit = message.credit_bytes > 0 ? message.credit_bytes : kDefaultCreditBytes;
  call.connection.requests[message.tag] = Request{};
  event::Resumed resumed{call.peer,
                         message.tag,
                         id_from_wire(message.request_id),
                         message.nonce,
                         std::move(message.next_index),
                         credit,
                         {}};
  for (const door::AnswerPoint& point : message.points) {
    resumed.points.push_back({point.choice, point.index});
  }
  call.output.events.push_back(std::move(resumed));
}

void FrontDoor::handle(Call& call, door::Credit message) {
  Request* const request = find(call.peer, message.tag);
  if (request == nullptr) return;
  if (request->accepted) {
    call.output.events.push_back(event::Credited{call.peer, request->id, message.bytes});
  } else {
    request->granted_early = std::min(request->granted_early + message.bytes, kMaxCreditBytes);
  }
}

}  // namespace trireme

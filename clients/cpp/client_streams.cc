#include "clients/cpp/client_streams.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace trireme {

namespace {

constexpr int64_t kComeBackMs = 15'000;

// Values of the prompt, which the coordinator does not keep.
bool asks_for_values(const door::Submit& request) {
  return request.kind != door::Kind::kGenerate || request.sampling.prompt_logprobs.has_value();
}

}  // namespace

void make_resumable(door::Submit& request, const std::string& random) {
  if (request.idempotency_key.empty()) {
    request.idempotency_key = "client-";
    for (const char c : random) {
      request.idempotency_key += format_text("{:02x}", static_cast<unsigned char>(c));
    }
  }
  const bool ends_at_once =
      request.on_disconnect == door::OnDisconnect::kCancel && request.disconnect_grace_ms == 0;
  if (ends_at_once) request.disconnect_grace_ms = kComeBackMs;
}

void ClientStreams::open(const door::Submit& request, CreditMode mode, bool keep, int64_t bytes) {
  Stream& stream = streams_[request.tag];
  stream.credit_bytes = request.credit_bytes;
  stream.mode = mode;
  stream.keep = keep;
  if (!keep) return;
  stream.request = request;
  stream.request_bytes = bytes;
  kept_bytes_ += bytes;
}

void ClientStreams::open(const door::Resume& request, CreditMode mode, bool keep) {
  Stream& stream = streams_[request.tag];
  stream.credit_bytes = request.credit_bytes;
  stream.mode = mode;
  stream.keep = keep && !request.request_id.empty();
  stream.request_id = request.request_id;
  stream.points = request.points;
  stream.progress = AnswerProgress(request.next_index);
}

int64_t ClientStreams::use(Stream& stream, int64_t bytes) {
  stream.held_bytes = std::max<int64_t>(0, stream.held_bytes - bytes);
  stream.used_bytes += bytes;
  if (stream.used_bytes * 2 < stream.credit_bytes) return 0;
  return std::exchange(stream.used_bytes, 0);
}

int64_t ClientStreams::note_used(uint64_t tag, int64_t bytes) {
  const auto found = streams_.find(tag);
  return found == streams_.end() || bytes <= 0 ? 0 : use(found->second, bytes);
}

ClientStreams::News ClientStreams::note_event(ClientEvent& event) {
  News news;
  const auto found = streams_.find(tag_of(event));
  if (found == streams_.end()) return news;
  Stream& stream = found->second;
  const int64_t received_bytes = credit_cost(event);
  stream.held_bytes += received_bytes;
  if (starts_again(stream, event)) {
    stream.request_id.clear();
    news.is_new = false;
    news.starts_again = true;
    return news;
  }
  if (const auto* accepted = std::get_if<door::Accepted>(&event)) {
    news.is_new = !stream.accepted;
    note_accepted(stream, *accepted);
  } else {
    news.is_new = stream.progress.take(event);
  }
  if (is_end(event)) {
    close(found->first);
    return news;
  }
  // The caller cannot give back bytes that it does not see.
  const int64_t unseen_bytes = news.is_new ? received_bytes - credit_cost(event) : received_bytes;
  const int64_t used_bytes = stream.mode == CreditMode::kAutomatic ? received_bytes : unseen_bytes;
  if (used_bytes > 0) news.grant_bytes = use(stream, used_bytes);
  return news;
}

void ClientStreams::note_accepted(Stream& stream, const door::Accepted& accepted) {
  stream.accepted = true;
  stream.request_id = accepted.request_id;
  if (!stream.request) return;
  kept_bytes_ -= std::exchange(stream.request_bytes, 0);
  if (asks_for_values(*stream.request)) {
    stream.request->sampling.seed = accepted.seed;  // the same draws, should it run anew
  } else {
    stream.request.reset();
  }
}

bool ClientStreams::starts_again(const Stream& stream, const ClientEvent& event) {
  const auto* error = std::get_if<door::Error>(&event);
  return error != nullptr && error->error_id == "TRI-REQ-037" && stream.request &&
         !stream.cancelled && !stream.request_id.empty() && !stream.progress.has_output();
}

bool ClientStreams::cancel(uint64_t tag) {
  const auto stream = streams_.find(tag);
  return stream != streams_.end() && !std::exchange(stream->second.cancelled, true);
}

void ClientStreams::close(uint64_t tag) {
  const auto found = streams_.find(tag);
  if (found == streams_.end()) return;
  kept_bytes_ -= found->second.request_bytes;
  streams_.erase(found);
}

void ClientStreams::end_with_connection(uint64_t tag) {
  const auto found = streams_.find(tag);
  if (found != streams_.end()) found->second.keep = false;
}

std::vector<uint64_t> ClientStreams::close_lost(bool all) {
  std::vector<uint64_t> tags;
  for (const auto& [tag, stream] : streams_) {
    if (all || !stream.keep) tags.push_back(tag);
  }
  for (const uint64_t tag : tags) close(tag);
  return tags;
}

std::vector<uint64_t> ClientStreams::tags() const {
  std::vector<uint64_t> tags;
  for (const auto& [tag, stream] : streams_) tags.push_back(tag);
  return tags;
}

// Credit starts anew, less what the caller has not given back.
std::vector<door::FromClient> ClientStreams::attach(uint64_t tag, uint64_t nonce) {
  Stream& stream = streams_.at(tag);
  stream.used_bytes = 0;
  stream.progress.begin_stream();
  const int64_t credit_bytes = std::max<int64_t>(1, stream.credit_bytes - stream.held_bytes);
  std::vector<door::FromClient> messages;
  if (stream.request_id.empty()) {
    door::Submit request = *stream.request;
    request.nonce = nonce;
    request.credit_bytes = credit_bytes;
    messages.emplace_back(std::move(request));
  } else {
    messages.emplace_back(door::Resume{
        tag, stream.request_id, nonce, stream.progress.next_index(), credit_bytes, stream.points});
  }
  if (stream.cancelled) messages.emplace_back(door::Cancel{tag, ""});
  return messages;
}

}  // namespace trireme

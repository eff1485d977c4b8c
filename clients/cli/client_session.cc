#include "clients/cli/client_session.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace trireme {

namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};
constexpr int kSliceMs = 20;  // maximum wait for answers before the children are checked again

// Requests live through the end of a connection and of the coordinator.
ClientOptions client_options() {
  ClientOptions options;
  options.name = "trireme";
  options.holds_submits = true;
  return options;
}

}  // namespace

Status check_one_cluster(const ClusterFlags& flags, const std::string& endpoint) {
  if (flags.model.empty() == endpoint.empty()) {
    return invalid("TRI-RUN-004",
                   "give either --model (starts a private cluster) or --endpoint (a running one)");
  }
  if (!endpoint.empty() && !flags.chat_template.empty()) {
    return invalid("TRI-RUN-004",
                   "--chat-template belongs to a private cluster, {} is a running one; give it to "
                   "its `trireme up`",
                   endpoint);
  }
  if (endpoint.empty() || flags.trace.empty()) return ok_status();
  return invalid("TRI-RUN-004",
                 "--trace records a private cluster, {} is a running one; give --trace to its "
                 "`trireme up`",
                 endpoint);
}

StatusOr<std::unique_ptr<ClientSession>> ClientSession::bring_up(ClusterOptions options,
                                                                 const Preflight& preflight,
                                                                 Terminal& terminal,
                                                                 Interrupts& interrupts) {
  options.is_private = true;
  std::unique_ptr<ClientSession> session(new ClientSession(terminal, interrupts));
  ASSIGN_OR_RETURN(session->cluster_,
                   Cluster::start(options, preflight, session->launch_display_, interrupts));
  RETURN_IF_ERROR(session->cluster_->wait_until_ready());
  ASSIGN_OR_RETURN(session->client_,
                   Client::connect(
                       session->cluster_->endpoint(), kConnectTimeout, client_options()));
  RETURN_IF_ERROR(session->learn_model());
  return session;
}

StatusOr<std::unique_ptr<ClientSession>> ClientSession::connect(const std::string& endpoint,
                                                                Terminal& terminal,
                                                                Interrupts& interrupts) {
  std::unique_ptr<ClientSession> session(new ClientSession(terminal, interrupts));
  ASSIGN_OR_RETURN(session->client_,
                   Client::connect(endpoint, kConnectTimeout, client_options()));
  RETURN_IF_ERROR(session->learn_model());
  if (session->model_.ready_groups == 0) {
    return unavailable("TRI-RUN-029",
                       "the cluster at {} has no group that can answer yet; `trireme status "
                       "--endpoint {}` says why",
                       endpoint,
                       endpoint);
  }
  return session;
}

Status ClientSession::learn_model() {
  ASSIGN_OR_RETURN(const std::vector<door::ModelInfo> models, client_->models(kConnectTimeout));
  if (!models.empty()) model_ = models.front();
  return ok_status();
}

StatusOr<std::vector<ClientEvent>> ClientSession::poll(int timeout_ms) {
  if (watches_interrupts_ && interrupts_.count() > 0)
    return unavailable("TRI-UP-013", "interrupted");
  if (terminal_.output_lost()) return output_lost_error();
  if (cluster_) {
    RETURN_IF_ERROR(cluster_->pump(0));
    timeout_ms = std::min(timeout_ms, kSliceMs);
  }
  auto events = client_->poll(std::chrono::milliseconds(timeout_ms));
  if (!events.ok()) return events;
  for (const ClientEvent& event : *events) {
    if (const auto* change = std::get_if<ConnectionChange>(&event)) note_change(*change);
  }
  return events;
}

void ClientSession::note_change(const ConnectionChange& change) {
  const bool is_lost = change.state != ClientState::kReady;
  if (std::exchange(is_away_, is_lost) == is_lost) return;
  terminal_.note(is_lost ? format_text("{}; waiting for it, the answers then go on", change.message)
                         : "the coordinator is back; the answers go on");
}

void ClientSession::end_client() {
  if (client_) client_->cancel_all().IgnoreError();
  client_.reset();
}

ClientSession::~ClientSession() { end_client(); }

Status ClientSession::close() {
  end_client();
  return cluster_ ? cluster_->drain() : ok_status();
}

RequestRunner::RequestRunner(ClientSession& session) : session_(session) {
  window_ =
      static_cast<size_t>(std::max<int32_t>(1, session.client().welcome().limits.max_in_flight));
}

Status RequestRunner::submit(const door::Submit& request, size_t index, const std::string& id) {
  const TimeUs sent_us = clock_.now_us();
  ASSIGN_OR_RETURN(const uint64_t tag, session_.client().submit(request));
  Answer& answer = book_.open(tag, index, id, request.sampling.n.value_or(1), sent_us);
  const auto* chat = std::get_if<ChatRequest>(&request.prompt);
  answer.is_chat = chat != nullptr && !chat->raw;
  const auto* text = std::get_if<std::string>(&request.prompt);
  waiting_[tag] = 0;
  if (text != nullptr) waiting_[tag] = text->size();
  if (chat != nullptr) waiting_[tag] = chat->messages_json.size() + chat->tools_json.size();
  waiting_bytes_ += waiting_[tag];
  return ok_status();
}

void RequestRunner::note_settled(uint64_t tag) {
  const auto found = waiting_.find(tag);
  if (found == waiting_.end()) return;
  waiting_bytes_ -= found->second;
  waiting_.erase(found);
}

Status RequestRunner::cancel_all() {
  for (const uint64_t tag : book_.open_tags()) RETURN_IF_ERROR(session_.client().cancel(tag));
  return ok_status();
}

Status RequestRunner::poll(int timeout_ms, AnswerListener& listener) {
  ASSIGN_OR_RETURN(const std::vector<ClientEvent> events, session_.poll(timeout_ms));
  const TimeUs now_us = clock_.now_us();
  for (const ClientEvent& event : events) {
    note_settled(tag_of(event));  // the first event of a request accepts or refuses it
    const AnswerBook::News news = book_.book(event, now_us);
    if (news.answer == nullptr) continue;
    for (const AnswerPart& part : news.parts) listener.on_part(*news.answer, news.choice, part);
    if (!news.released.empty()) listener.on_text(*news.answer, news.choice, news.released);
    if (news.answer->over) listener.on_done(book_.take(tag_of(event)));
  }
  return ok_status();
}

}  // namespace trireme

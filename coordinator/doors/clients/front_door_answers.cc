// Answers to clients: the Engine's effects as messages, and the replies to Ping and StatusRequest.
#include <utility>

#include "coordinator/doors/clients/answer_messages.h"
#include "coordinator/doors/clients/front_door.h"
#include "proto/error_kind.h"

namespace trireme {

void FrontDoor::answer_status(PeerId peer, const door::StatusReply& reply) {
  if (Connection* connection = find(peer)) connection->outbox.send(reply);
}

void FrontDoor::answer_ping(PeerId peer, const door::Pong& pong) {
  if (Connection* connection = find(peer)) connection->outbox.send(pong);
}

void FrontDoor::on_effect(const effect::Accept& effect, DoorOutput& output) {
  Connection* connection = nullptr;
  Request* const request = find(effect.connection, effect.client_tag, &connection);
  if (request == nullptr) return;
  request->accepted = true;
  request->id = effect.request;
  connection->outbox.send(to_message(effect, options_.model, options_.public_id_key));
  if (request->granted_early > 0) {
    output.events.push_back(
        event::Credited{effect.connection, effect.request, request->granted_early});
  }
  if (request->cancel_wanted) {
    output.events.push_back(event::Cancelled{effect.request, effect.connection});
  }
}

void FrontDoor::on_effect(const effect::Refuse& effect) {
  if (Connection* connection = find(effect.connection)) {
    connection->requests.erase(effect.client_tag);
    door::Error error = error_of(effect.client_tag, effect.status, effect.retry_after_ms);
    error.nonce = effect.nonce;
    send_error(*connection, error);
  }
}

void FrontDoor::on_effect(effect::Tokens effect) {
  if (Connection* connection = find(effect.connection)) {
    connection->outbox.add(to_message(std::move(effect)));
  }
}

void FrontDoor::on_effect(const effect::Progress& effect) {
  Connection* connection = nullptr;
  const Request* const request = find(effect.connection, effect.client_tag, &connection);
  if (request == nullptr || !request->accepted) return;
  connection->outbox.send(to_message(effect));
}

void FrontDoor::on_effect(effect::PromptLogprobs effect) {
  if (Connection* connection = find(effect.connection)) {
    connection->outbox.send(to_message(std::move(effect)));
  }
}

void FrontDoor::on_effect(effect::ProbeValues effect) {
  if (Connection* connection = find(effect.connection)) {
    connection->outbox.send(to_message(std::move(effect)));
  }
}

void FrontDoor::on_effect(effect::Finish effect) {
  Connection* const connection = find(effect.connection);
  if (connection == nullptr) return;
  if (effect.last_choice) connection->requests.erase(effect.client_tag);
  connection->outbox.send(to_message(std::move(effect)));
}

}  // namespace trireme
